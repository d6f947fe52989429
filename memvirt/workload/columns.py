"""Reading tables of accesses: columns are found by their names, or by those that ``--columns`` says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from memvirt.errors import TraceError
from memvirt.types import PAGE_BITS
from memvirt.workload.batch import FETCHED, LOAD, Batch, Objects, Options, Spaces
from memvirt.workload.lines import NEITHER, kind_of
from memvirt.workload.stream import Stream

#: Names that columns are known by, in lower case and without blanks.
NAMES = {
    "address": ("address", "addr", "vaddr", "va", "virtual_address", "virtualaddress", "mem_addr"),
    "page": ("page", "vpn", "page_number"),
    "object": ("object", "obj", "obj_id", "object_id", "key"),
    "rw": ("rw", "type", "op", "is_write", "write", "kind"),
    "process": ("process", "pid", "asid"),
    "instructions": ("instructions", "gap"),
}
PLACES = ("address", "page", "object")  #: what says where an access goes; one of them must be there
NONE = "none"  #: stands for no column in what is stated
LOADS = "has no column that tells loads from stores: each access is a load"
ONES = "has no column of instructions: each access counts as one instruction"
OBJECTS = "holds requests of objects: each object is a page"


def find_columns(header: Sequence[str], stated: dict[str, str], name: str) -> dict[str, int]:
    """Number of each column that is known.

    Parameters
    ----------
    header : sequence of str
    stated : dict
        Of ``--columns``; a number counts from 1 where no column has the name, and `NONE` is no column.
    name : str
        The file.

    Raises
    ------
    TraceError
        If a stated column isn't there, or none says where an access goes.
    """
    known = {column.strip().lower(): place for place, column in reversed(list(enumerate(header)))}
    found = {what: known[each] for what, names in NAMES.items() for each in reversed(names) if each in known}
    if any(stated.get(what, NONE) != NONE for what in PLACES):
        found = {what: place for what, place in found.items() if what not in PLACES}
    for what, column in stated.items():
        if column == NONE:
            found.pop(what, None)
        elif column.lower() in known:
            found[what] = known[column.lower()]
        elif column.isdigit() and 1 <= int(column) <= len(header):
            found[what] = int(column) - 1
        else:
            raise TraceError(name, "", f"has no column {column}: it has {', '.join(each.strip() for each in header)[:200]}")
    if not any(what in found for what in PLACES):
        names_of = ", ".join(each.strip() for each in header)[:200]
        raise TraceError(name, "", f"has no column of addresses, pages or objects ({names_of}): --columns address=NAME")
    return found


class Reader:
    """Makes batches of a table's columns.

    Parameters
    ----------
    stream : Stream
    found : dict
        As `find_columns`.
    where : function
        Place of a row, as an error says it.
    """

    def __init__(self, stream: Stream, found: dict[str, int], where: Callable[[int], str]) -> None:
        self.stream, self.where = stream, where
        self.place = next(what for what in PLACES if what in found)
        self.spaces, self.objects, self.rows = Spaces(), Objects(), 0
        self.base: int | None = None
        for what, said in (("rw", LOADS), ("instructions", ONES)):
            if what not in found:
                stream.note(said)
        if self.place == "object":
            stream.note(OBJECTS)

    def numbers(self, column: pa.Array, what: str, most: int) -> NDArray[np.uint64]:
        """Whole numbers of a column, from integers or text."""
        if pa.types.is_integer(column.type) and not column.null_count:
            values = column.to_numpy(zero_copy_only=False)
            if values.dtype.kind == "i" and what == "address":
                upper: NDArray[np.uint64] = values.astype(np.int64).view(np.uint64)  # a canonical address of the upper half, too
                return upper
            if not values.size or (int(values.min()) >= 0 and int(values.max()) <= most):
                whole: NDArray[np.uint64] = values.astype(np.uint64)
                return whole
        found = np.empty(len(column), np.uint64)
        words = column.to_pylist()
        if self.base is None and what == self.place:
            self.base = (
                16 if any(isinstance(word, str) and set(word.lower()) & set("abcdef") and "x" not in word for word in words) else 10
            )
        base = self.base or 10 if what == self.place else 10
        for row, word in enumerate(words):
            try:
                text = str(word).strip()
                value = int(text, 16 if text[:2].lower() == "0x" else base) if not isinstance(word, float) else int(word)
                if value < 0 or value > most or (isinstance(word, float) and value != word):
                    raise ValueError
                found[row] = value
            except (ValueError, OverflowError):
                raise TraceError(self.stream.name, self.where(self.rows + row), f"{word!r} is no {what}") from None
        return found

    def batch(self, columns: dict[str, pa.Array], options: Options) -> Batch:
        """Make a batch of some rows."""
        column, size = columns[self.place], len(columns[self.place])
        if self.place == "address":
            address = self.numbers(column, "address", (1 << 64) - 1)
        elif self.place == "page":
            address = self.numbers(column, "page", (1 << 52) - 1) << np.uint64(PAGE_BITS)
        else:
            names = np.array([str(word) for word in column.to_pylist()]) if size else np.zeros(0, str)
            address = self.objects.number(names) << np.uint64(PAGE_BITS)
        what = np.full(size, LOAD, np.uint8)
        if "rw" in columns:
            words = [str(word).encode() for word in columns["rw"].to_pylist()]
            kinds = {word: kind_of(word) for word in set(words)}
            what = np.fromiter((kinds[word] for word in words), np.uint8, size)
            strange = np.flatnonzero(what == NEITHER)
            if strange.size:
                row = int(strange[0])
                raise TraceError(
                    self.stream.name,
                    self.where(self.rows + row),
                    f"{words[row].decode()!r} tells no load from a store; --columns rw=none takes all as loads",
                )
        gap = np.ones(size, np.int64)
        if "instructions" in columns:
            gap = self.numbers(columns["instructions"], "number of instructions", 1 << 40).astype(np.int64)
        space = self.spaces.number(self.numbers(columns["process"], "process", 1 << 62)) if "process" in columns else None
        first, self.rows = self.rows, self.rows + size
        kept = np.arange(size) if options.fetches else np.flatnonzero(what < FETCHED)
        where: Callable[[int], str] = lambda index: self.where(first + int(kept[index]))  # noqa: E731
        if kept.size == size:
            return Batch(address, what, gap, where, space)
        return Batch(address[kept], what[kept], gap[kept], where, None if space is None else space[kept])


def read_batches(
    tables: Iterator[Any], names: Sequence[str], found: dict[str, int], reader: Reader, options: Options
) -> Iterator[Batch]:
    """Make batches of record batches."""
    for table in tables:
        yield reader.batch({what: table.column(names[place]) for what, place in found.items()}, options)
