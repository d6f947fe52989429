"""Reading memvirt's own form, a chunk at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from memvirt.errors import TraceError
from memvirt.types import CHUNK, Accesses, joined, piece
from memvirt.workload.own.header import KEY, SCHEMA, Damaged, Header, feed, finish_digest, read_header

MOST_BYTES = 16 * CHUNK  #: of a chunk's columns, not compressed
MOST_HEADER = 1 << 29  #: bytes; a page takes some six


class OwnFile:
    """A trace in memvirt's own form, version 1 or 2; travels as its name, and is opened again where it arrives.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    header : Header
    vpn : (p,) uint64
        Pages, ascending by (asid, vpn), as accesses that are read name them.
    asid : (p,) uint16

    Raises
    ------
    TraceError
        If it is no such file, or a damaged one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            status = path.stat()
            self._stamp = status.st_mtime_ns, status.st_size
            self._file = pq.ParquetFile(
                path, page_checksum_verification=True, thrift_string_size_limit=MOST_HEADER, arrow_extensions_enabled=False
            )
            metadata = self._file.metadata
            groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
            text = (metadata.metadata or {}).get(KEY)
            schema = self._file.schema_arrow.remove_metadata()
        except (pa.ArrowException, OSError, ValueError) as wrong:
            raise TraceError(str(path), "", f"is no whole Parquet file ({_first_line(wrong)})") from wrong
        if text is None:
            raise TraceError(str(path), "", "is a Parquet file, but no memvirt trace")
        if [(field.name, field.type) for field in schema] != [(field.name, field.type) for field in SCHEMA]:
            raise TraceError(str(path), "", "is damaged: its columns are not page (uint32), line and gap (uint8)")
        for number, group in enumerate(groups):
            if not 0 < group.num_rows <= CHUNK or group.total_byte_size > MOST_BYTES:
                raise TraceError(str(path), f"chunk {number}", f"is damaged: it is empty, or longer than {CHUNK:,} accesses")
        self._starts = np.cumsum([0, *(group.num_rows for group in groups)])
        try:
            self.header: Header = read_header(text, int(self._starts[-1]))
        except Damaged as wrong:
            raise TraceError(str(path), "", f"is damaged: {wrong}") from None
        order = np.lexsort((self.header.vpn, self.header.asid))
        self.vpn, self.asid = self.header.vpn[order], self.header.asid[order]
        self._row: NDArray[np.uint32] = np.empty(order.size, np.uint32)
        self._row[order] = np.arange(order.size, dtype=np.uint32)

    @property
    def accesses(self) -> int:
        """Their number."""
        return int(self._starts[-1])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OwnFile) and (self.path, self._stamp) == (other.path, other._stamp)

    def __hash__(self) -> int:
        return hash((self.path, self._stamp))

    def __reduce__(self) -> tuple[type[OwnFile], tuple[Path], dict[str, str]]:
        return OwnFile, (self.path,), {"digest": self.header.digest}

    def __setstate__(self, state: dict[str, str]) -> None:
        if state["digest"] != self.header.digest:
            raise TraceError(str(self.path), "", "has changed since the sweep was planned")

    @property
    def chunks(self) -> int:
        """How many there are."""
        return self._starts.size - 1

    def stored_chunk(self, number: int) -> Accesses:
        """A chunk whose pages are numbered as in the file.

        Raises
        ------
        TraceError
            If it is damaged.
        """
        try:
            table = self._file.read_row_group(number, use_threads=False)
            page, line, gap = (_as_numpy(table.column(name)) for name in SCHEMA.names)
        except (pa.ArrowException, OSError, ValueError) as wrong:
            raise TraceError(str(self.path), f"chunk {number}", f"is damaged ({_first_line(wrong)})") from wrong
        columns = Accesses(page, line, gap)
        if columns.page.size != self._starts[number + 1] - self._starts[number]:
            raise TraceError(str(self.path), f"chunk {number}", "is damaged: it is shorter than it says")
        if int(columns.page.max()) >= self._row.size:
            raise TraceError(str(self.path), f"chunk {number}", "is damaged: it touches a page that its page table doesn't have")
        return columns

    def chunk(self, number: int) -> Accesses:
        """A chunk; its pages are rows of `vpn`."""
        columns = self.stored_chunk(number)
        return columns._replace(page=self._row[columns.page])

    def each_chunk(self) -> Iterator[Accesses]:
        """All of them, one after the other."""
        return (self.chunk(number) for number in range(self.chunks))

    def read(self, first: int, last: int) -> Accesses:
        """Accesses ``first`` to ``last``; the last few chunks are remembered."""
        low, high = np.searchsorted(self._starts, [first, max(first, last - 1)], side="right") - 1
        parts = []
        for number in range(low, high + 1):
            base = int(self._starts[number])
            parts.append(piece(_remembered(self, number), max(first - base, 0), last - base))
        return joined(parts)

    def check_digest(self) -> None:
        """Read it all, and compare.

        Raises
        ------
        TraceError
            If it isn't what was written.
        """
        digest = hashlib.blake2b(digest_size=16)
        for number in range(self.chunks):
            feed(digest, self.stored_chunk(number))
        if self.header.digest and finish_digest(digest, self.header.vpn, self.header.asid) != self.header.digest:
            raise TraceError(str(self.path), "", "is damaged: its digest is another")


@lru_cache(maxsize=16)
def _remembered(file: OwnFile, number: int) -> Accesses:
    return file.chunk(number)


def _as_numpy(column: pa.ChunkedArray) -> NDArray[Any]:
    if column.null_count:
        raise ValueError(f"{column.null_count} values are missing")
    return np.ascontiguousarray(column.to_numpy())


def _first_line(wrong: Exception) -> str:
    return (str(wrong).splitlines() or [type(wrong).__name__])[0]
