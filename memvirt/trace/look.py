"""What a trace holds, found in one pass whose memory goes by its pages, not by its length."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.trace.reuse import BINS, Depths, Touches, count_depths, depths, edges, note_end, note_touches
from memvirt.types import CHUNK, FETCH, ORDERS, Accesses, piece
from memvirt.workload.files import read_file
from memvirt.workload.own import OwnFile
from memvirt.workload.stored import own_file

TIMES, PLACES = 320, 160  #: grain of the map
APART = 512  #: untouched pages between two regions, 2 MiB


class Opened(NamedTuple):
    """A trace, as far as `look` needs it.

    Attributes
    ----------
    vpn : (p,) uint64
    asid : (p,) uint16
    accesses : int
    chunks : iterator of Accesses
    about : dict
    file : OwnFile or None
        None of other formats, which are read as a whole.
    """

    vpn: NDArray[np.uint64]
    asid: NDArray[np.uint16]
    accesses: int
    chunks: Iterator[Accesses]
    about: dict[str, Any]
    file: OwnFile | None


def open_any(path: Path) -> Opened:
    """Open a trace of any format, its instruction fetches included.

    Raises
    ------
    TraceError
        If it is missing, truncated or malformed.
    """
    if (file := own_file(path)) is not None:
        return Opened(file.vpn, file.asid, file.accesses, file.each_chunk(), file.header.about, file)
    recording = read_file(path, fetches=True)
    size = recording.accesses.page.size
    chunks = (piece(recording.accesses, first, first + CHUNK) for first in range(0, size, CHUNK))
    return Opened(recording.vpn, recording.asid, size, chunks, recording.about, None)


class Region(NamedTuple):
    """Touched pages with no wide gap between them."""

    first: int  # address
    last: int
    space: int
    pages: int
    accesses: int
    writes: int


class Findings(NamedTuple):
    """What a trace holds.

    Attributes
    ----------
    accesses, instructions, writes, fetches : int
    footprint : dict
        Pages by their size's name.
    written : int
        4K pages.
    spaces : int
        Address spaces.
    regions : list of Region
        In the order of address.
    window, working_set : (n,)
        Accesses, and the mean number of 4K pages that so many touch.
    depths : dict of Depths
        By page size.
    map : (times, places) int64
    about : dict
    version : int or None
        Of memvirt's own form.
    """

    accesses: int
    instructions: int
    writes: int
    fetches: int
    footprint: dict[str, int]
    written: int
    spaces: int
    regions: list[Region]
    window: NDArray[np.int64]
    working_set: NDArray[np.float64]
    depths: dict[str, Depths]
    map: NDArray[np.int64]
    about: dict[str, Any]
    version: int | None

    def misses(self, size: str, entries: int) -> int:
        """Accesses that miss a fully associative LRU TLB of so many entries for pages of a size."""
        found = self.depths[size]
        return int(found.cursor[3] + found.counts[entries:].sum())


def _rows_of_larger(vpn: NDArray[np.uint64], asid: NDArray[np.uint16], order: int) -> tuple[NDArray[np.uint32], int]:
    """Number of the larger page that each page lies in, and how many there are; pages ascend."""
    number = vpn >> np.uint64(order)
    new = np.ones(vpn.size, bool)
    new[1:] = (number[1:] != number[:-1]) | (asid[1:] != asid[:-1])
    return (np.cumsum(new) - 1).astype(np.uint32), int(new.sum())


def _regions(vpn: NDArray[np.uint64], asid: NDArray[np.uint16], touches: Touches) -> list[Region]:
    new = np.ones(vpn.size, bool)
    new[1:] = (vpn[1:] - vpn[:-1] > APART) | (asid[1:] != asid[:-1])
    starts = np.flatnonzero(new)
    ends = np.append(starts[1:], vpn.size)
    accesses, writes = (np.add.reduceat(column, starts) for column in (touches.touched, touches.written))
    return [
        Region(int(vpn[s]) << 12, (int(vpn[e - 1]) << 12) + 4095, int(asid[s]), int(e - s), int(a), int(w))
        for s, e, a, w in zip(starts, ends, accesses, writes, strict=True)
    ]


def _working_set(touches: Touches, total: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Mean working set of windows of so many accesses.

    A page is in the window from each access to it until the next, or until the window is over (Denning and Schwartz, CACM 15(3),
    1972); so its mean is the sum of the shorter of both over all accesses, divided by their number.
    """
    note_end(touches, total)
    window = edges()
    below = np.concatenate([[0], np.cumsum(touches.reach)])[: window.size]
    beyond = total - np.concatenate([[0], np.cumsum(touches.intervals)])[: window.size]
    _, first = np.unique(window, return_index=True)
    first = first[window[first] <= total]
    return window[first], (below + window.astype(np.float64) * beyond)[first] / total


def look(trace: Opened) -> Findings:
    """Read a trace once.

    Raises
    ------
    TraceError
        If it turns out to be damaged.
    """
    vpn, asid, total = trace.vpn, trace.asid, trace.accesses
    zeros = np.zeros(vpn.size, np.int64)
    touches = Touches(
        np.full(vpn.size, -1, np.int64), zeros, zeros.copy(), np.zeros(BINS, np.int64), np.zeros(BINS, np.int64),
        np.zeros((TIMES, PLACES), np.int64),
    )  # fmt: skip
    larger = {size: _rows_of_larger(vpn, asid, order) for size, order in ORDERS.items()}
    found = {size: depths(count) for size, (_, count) in larger.items()}
    first = instructions = fetches = 0
    for chunk in trace.chunks:
        note_touches(touches, chunk.page, chunk.line, first, total)
        for size, state in found.items():
            count_depths(state, chunk.page if size == "4K" else larger[size][0][chunk.page])
        first += chunk.page.size
        instructions += int(chunk.gap.sum(dtype=np.int64))
        fetches += int(np.count_nonzero(chunk.line & FETCH))
    window, working_set = _working_set(touches, total)
    return Findings(
        accesses=total,
        instructions=instructions,
        writes=int(touches.written.sum()),
        fetches=fetches,
        footprint={size: count for size, (_, count) in larger.items()},
        written=int(np.count_nonzero(touches.written)),
        spaces=np.unique(asid).size,
        regions=_regions(vpn, asid, touches),
        window=window,
        working_set=working_set,
        depths=found,
        map=touches.map,
        about=trace.about,
        version=trace.file.header.version if trace.file else None,
    )
