"""What was visited when, in runs of pages: what snapshots, configs and traces of accesses say, as the table of a page life."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.digest import file_stamp
from memvirt.errors import TraceError
from memvirt.types import LINE_MASK, PAGE_BITS, WRITE
from memvirt.workload.batch import STORE, Batch, Options, checked, numbered_from
from memvirt.workload.life import REGION
from memvirt.workload.own import OwnFile
from memvirt.workload.sniff import LIFE, choose
from memvirt.workload.stream import open_stream
from memvirt.workload.tables import Columns

NS_PER_INSTRUCTION = 0.2  #: of a trace that has no clock; as `clock.ns_per_instruction` is by default
MOST_PAGES = (1 << 31) - 1
REGION_BITS = REGION.bit_length() - 1
SPACE_BITS = 12  #: of an address space's number, above the 52 of a page's
NO_CLOCK = f"has no clock: an instruction takes {NS_PER_INSTRUCTION:g} ns"


class Visited(NamedTuple):
    """Runs of pages that were visited in steps.

    Attributes
    ----------
    time : (n,) float64
        When the step of each begins (s).
    space : (n,) int64
        Its address space.
    first : (n,) uint64
        Number of its first page, as addresses have it.
    pages : (n,) int64
    written : (n,) float64
        How many of them are written; NaN where nothing says.
    visits : (n,) int64
    end : float
        When the last step ends (s).
    """

    time: NDArray[np.float64]
    space: NDArray[np.int64]
    first: NDArray[np.uint64]
    pages: NDArray[np.int64]
    written: NDArray[np.float64]
    visits: NDArray[np.int64]
    end: float


def collect(rows: list[tuple[float, int, int, int, float, int]], end: float) -> Visited:
    """Make it of rows: time, space, first, pages, written, visits."""
    time, space, first, pages, written, visits = zip(*rows, strict=True) if rows else ((),) * 6
    whole = [np.array(column, np.int64) for column in (space, pages, visits)]
    return Visited(
        np.array(time, float), whole[0], np.array(first, np.uint64), whole[1], np.array(written, float), whole[2], float(end)
    )


def pack(space: NDArray[np.int64], first: NDArray[np.uint64], pages: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number pages densely: 2 MiB regions that have any, in order, each whole, so that large pages are where they were.

    Parameters
    ----------
    space, first, pages : (n,)
        Runs, each within an address space.

    Returns
    -------
    (n,) int64
        Number of each run's first page.
    """
    key = (first | space.astype(np.uint64) << np.uint64(64 - SPACE_BITS)).view(np.int64) ^ np.int64(-(1 << 63))
    begin, last = key >> REGION_BITS, key + pages - 1 >> REGION_BITS
    order = np.argsort(begin, kind="stable")
    reached = np.maximum.accumulate(last[order])
    opens = np.concatenate([[True], begin[order][1:] > reached[:-1]])  # a run that begins behind all before it
    start = begin[order][opens]
    size = reached[np.append(np.flatnonzero(opens)[1:] - 1, order.size - 1)] - start + 1
    base = np.concatenate([[0], np.cumsum(size)[:-1]])
    which = np.empty(order.size, np.int64)
    which[order] = np.cumsum(opens) - 1
    number: NDArray[np.int64] = (base[which] + begin - start[which]) * REGION + (key & REGION - 1)
    return number


def as_columns(visited: Visited, share: float) -> Columns:
    """Columns of the table that `pageset` reads; ``share`` of what nothing is said of is written."""
    unsaid = np.isnan(visited.written)
    written = np.where(unsaid, np.rint(visited.pages * share), visited.written)
    return {
        "time": visited.time,
        "vm": np.zeros(visited.time.size),
        "first": pack(visited.space, visited.first, visited.pages).astype(float),
        "pages": visited.pages.astype(float),
        "written": np.minimum(written, visited.pages),
        "visits": visited.visits.astype(float),
        "busy": np.full(visited.time.size, np.nan),
        "end": np.full(visited.time.size, visited.end),
    }


def _runs(time: float, key: NDArray[np.uint64], dirty: NDArray[np.bool_]) -> Visited:
    """Runs of neighbours, each written or not, of a step's pages, ascending."""
    opens = np.flatnonzero(np.concatenate([[True], (np.diff(key) != 1) | (dirty[1:] != dirty[:-1])]))
    size = np.diff(np.append(opens, key.size))
    first = key[opens]
    space = (first >> np.uint64(64 - SPACE_BITS)).astype(np.int64)
    first = first & np.uint64((1 << 64 - SPACE_BITS) - 1)
    return Visited(np.full(size.size, time), space, first, size, np.where(dirty[opens], size, 0).astype(float), size, time)


def _seconds(batch: Batch, instructions: int) -> NDArray[np.float64]:
    """When each access is made."""
    if batch.time is not None:
        return batch.time
    seconds: NDArray[np.float64] = np.multiply(instructions + np.cumsum(batch.gap), NS_PER_INSTRUCTION * 1e-9, dtype=np.float64)
    return seconds


def from_accesses(batches: Iterator[Batch], step: float, name: str = "") -> Visited:
    """Which pages are visited in each step of so many seconds, and which of them are written; a page is one visit a step.

    Raises
    ------
    TraceError
        If time goes back, beyond what a few processors' clocks differ: to an earlier step.
    """
    parts: list[Visited] = []
    now, keys, dirty = None, np.zeros(0, np.uint64), np.zeros(0, bool)
    begun, last, instructions = None, 0.0, 0

    def finish() -> None:
        if now is not None:
            parts.append(_runs(now * step, keys, dirty))

    for batch in batches:
        seconds = _seconds(batch, instructions)
        instructions += int(batch.gap.sum())
        begun = float(seconds[0]) if begun is None and batch.time is not None else begun or 0.0
        number = np.floor((seconds - begun) / step).astype(np.int64)
        reached = np.maximum(np.maximum.accumulate(number), now or 0)
        back = np.flatnonzero(reached - number > 1)
        if back.size:
            raise TraceError(name, batch.where(int(back[0])), "is of an earlier step than an access before it: sort it by time")
        number = reached
        key = batch.address >> np.uint64(PAGE_BITS)
        if batch.space is not None:
            key = key | batch.space.astype(np.uint64) << np.uint64(64 - SPACE_BITS)
        for each in np.unique(number).tolist():
            if each != now:
                finish()
                now, keys, dirty = each, np.zeros(0, np.uint64), np.zeros(0, bool)
            mine = number == each
            both = np.concatenate([keys, key[mine]])
            wrote = np.concatenate([dirty, batch.what[mine] == STORE])
            keys, which = np.unique(both, return_inverse=True)
            dirty = np.zeros(keys.size, bool)
            dirty[which[wrote]] = True
        last = float(seconds[-1]) - begun
    finish()
    end = max(last, step * ((now or 0) + 1))
    if not parts:
        return collect([], end)
    time, space, first, pages, written, visits = (np.concatenate(columns) for columns in list(zip(*parts, strict=True))[:-1])
    return Visited(time, space, first, pages, written, visits, end)


def _own_batches(path: Path) -> Iterator[Batch]:
    file = OwnFile(path)
    for chunk in file.each_chunk():
        address = file.vpn[chunk.page] << np.uint64(PAGE_BITS) | (chunk.line & LINE_MASK).astype(np.uint64) << np.uint64(6)
        what = ((chunk.line & WRITE) != 0).astype(np.uint8)
        yield Batch(address, what, chunk.gap.astype(np.int64), numbered_from(0, 1, "access"), file.asid[chunk.page])


def read_visited(path: Path, step: float) -> tuple[Visited, list[str]]:
    """Read which pages a file says to be visited, and what it doesn't say and had to be assumed.

    Parameters
    ----------
    path : Path
        A page life of a format that holds one, or accesses of any, those included that no TLB looks up.
    step : float
        Seconds, of what isn't in steps already.

    Raises
    ------
    TraceError
        If it is missing, malformed or no format's.
    """
    with open_stream(path) as stream:
        module = choose(stream, holds=("accesses", LIFE))
        if getattr(module, "HOLDS", "") == LIFE:
            visited: Visited = module.read(stream, Options(step=step))
        else:
            own = getattr(module, "OWN", False)
            batches = _own_batches(path) if own else checked(module.read(stream, Options()), str(path))
            timed = False

            def watched() -> Iterator[Batch]:
                nonlocal timed
                for batch in batches:
                    timed = batch.time is not None
                    yield batch

            visited = from_accesses(watched(), step, str(path))
            if not timed:
                stream.note(NO_CLOCK)
            stream.note("each page that is accessed in a step is visited once in it")
        if not visited.time.size:
            raise TraceError(str(path), "", "visits no page")
        most = int((pack(visited.space, visited.first, visited.pages) + visited.pages).max())
        if most > MOST_PAGES:
            raise TraceError(str(path), "", f"visits {most:,} pages, more than 31-bit numbers name")
        return visited, stream.notes


@lru_cache(maxsize=4)
def _read(path: Path, step: float, stamp: tuple[int, int]) -> tuple[Visited, list[str]]:
    return read_visited(path, step)


def read_once(path: Path, step: float) -> tuple[Visited, list[str]]:
    """As `read_visited`, remembering the last few files while they don't change."""
    return _read(path, step, file_stamp(path))
