"""Writing memvirt's own form as accesses come, whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from memvirt.errors import TraceError
from memvirt.types import CHUNK, FETCH, NONE, WRITE, Accesses, piece
from memvirt.workload.own.header import COUNTS, KEY, SCHEMA, SPACE_BITS, VERSION, Header, feed, finish_digest, write_header
from memvirt.workload.own.numbering import carry_gaps, number_pages

FLAGS = np.array([0, WRITE, FETCH], np.uint8)  #: of a load, a store, a fetch
#: Each byte of a column for itself, a chunk in one page: what a program repeats is then repeated byte for byte, and found.
#: Parquet's dictionaries, of 5 or 7 bits, hide it.
ENCODING: dict[str, Any] = {
    "use_dictionary": False,
    "column_encoding": dict.fromkeys(SCHEMA.names, "BYTE_STREAM_SPLIT"),
    "data_page_size": 1 << 25,
}


class OwnWriter:
    """A trace that is being written; the file has its name when the ``with`` statement ends well, else there is none.

    Parameters
    ----------
    path : Path
    about : dict
        Origin; what is added to `about` before the end is written too.
    level : int
        Of zstd's compression; 9 takes a twentieth off what 3 makes, and twice as long.

    Raises
    ------
    TraceError
        If the place can't be written.
    """

    def __init__(self, path: Path, about: dict[str, Any] | None = None, level: int = 3) -> None:
        self.path, self.about = path, dict(about or {})
        self.counts = dict.fromkeys(COUNTS, 0)
        self._part = path.with_name(path.name + ".part")
        self._slots = np.full(1 << 12, NONE, np.uint32)
        self._known = np.zeros(self._slots.size // 2, np.uint64)
        self._pages = self._rest = self._held = 0
        self._cancelled = False
        self._chunk = Accesses(np.empty(CHUNK, np.uint32), np.empty(CHUNK, np.uint8), np.empty(CHUNK, np.uint8))
        self._digest = hashlib.blake2b(digest_size=16)
        with self._telling():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = pq.ParquetWriter(
                self._part, SCHEMA, compression="zstd", compression_level=level, write_page_checksum=True, **ENCODING
            )

    def add(
        self, address: NDArray[np.uint64], what: NDArray[Any], gap: NDArray[np.int64], space: NDArray[np.uint16] | None = None
    ) -> None:
        """Append accesses.

        Parameters
        ----------
        address : (n,) uint64
            Byte addresses.
        what : (n,)
            0 for a load, 1 (or true) for a store, 2 for an instruction fetch.
        gap : (n,) int64
            Instructions since the access before, this one's own included.
        space : (n,) uint16, optional
            Address space of each, below 4096.

        Raises
        ------
        TraceError
            If the disk is full, or there are more address spaces than can be numbered.
        """
        for first in range(0, address.size, CHUNK):
            piece = slice(first, first + CHUNK)
            self._add(address[piece], np.asarray(what[piece], np.uint8), gap[piece], None if space is None else space[piece])

    def _add(
        self, address: NDArray[np.uint64], what: NDArray[np.uint8], gap: NDArray[np.int64], space: NDArray[np.uint16] | None
    ) -> None:
        key = address >> np.uint64(12)
        if space is not None:
            if space.size and int(space.max()) >> SPACE_BITS:
                raise TraceError(str(self.path), "", f"would hold more than {1 << SPACE_BITS} address spaces")
            key |= space.astype(np.uint64) << np.uint64(64 - SPACE_BITS)
        size = address.size
        page, small = self._number(key), np.empty(size, np.uint8)
        self._rest = carry_gaps(np.ascontiguousarray(gap, np.int64), self._rest, small)
        line = (address >> np.uint64(6)).astype(np.uint8) & np.uint8(63) | FLAGS[what]
        self.counts["accesses"] += size
        self.counts["instructions"] += int(small.sum(dtype=np.int64))
        self.counts["writes"] += int(np.count_nonzero(what == 1))
        self.counts["fetches"] += int(np.count_nonzero(what == 2))
        done = 0
        while done < size:
            count = min(size - done, CHUNK - self._held)
            part, place = slice(done, done + count), slice(self._held, self._held + count)
            self._chunk.page[place], self._chunk.line[place], self._chunk.gap[place] = page[part], line[part], small[part]
            self._held, done = self._held + count, done + count
            if self._held == CHUNK:
                self._flush()

    def _number(self, key: NDArray[np.uint64]) -> NDArray[np.uint32]:
        page = np.empty(key.size, np.uint32)
        done = 0
        while True:
            more, self._pages = number_pages(key[done:], self._slots, self._known, self._pages, page[done:])
            done += more
            if done == key.size:
                return page
            known = self._known[: self._pages]
            self._slots = np.full(4 * self._slots.size, NONE, np.uint32)
            self._known = np.zeros(self._slots.size // 2, np.uint64)
            number_pages(known, self._slots, self._known, 0, np.empty(known.size, np.uint32))

    def _flush(self) -> None:
        columns = piece(self._chunk, 0, self._held)
        feed(self._digest, columns)
        with self._telling():
            self._file.write_table(pa.table([pa.array(column) for column in columns], schema=SCHEMA), row_group_size=CHUNK)
        self._held = 0

    def _header(self) -> Header:
        known = self._known[: self._pages]
        asid = (known >> np.uint64(64 - SPACE_BITS)).astype(np.uint16)
        vpn = known & np.uint64((1 << (64 - SPACE_BITS)) - 1)
        return Header(VERSION, self.about, vpn, asid, self.counts, finish_digest(self._digest, vpn, asid))

    @contextlib.contextmanager
    def _telling(self) -> Any:
        try:
            yield
        except OSError as wrong:
            raise TraceError(str(self.path), "", f"can't be written: {wrong.strerror or wrong}") from wrong

    def cancel(self) -> None:
        """Let there be no file after all."""
        self._cancelled = True

    def __enter__(self) -> OwnWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, wrong: BaseException | None, trace: TracebackType | None) -> None:
        whole = kind is None and not self._cancelled
        try:
            with self._telling():
                if whole:
                    if self._held:
                        self._flush()
                    self._file.add_key_value_metadata({KEY: write_header(self._header())})
                self._file.close()
                if whole:
                    os.replace(self._part, self.path)
        finally:
            self._part.unlink(missing_ok=True)
