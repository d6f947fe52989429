"""Kernels that look at a trace once: how far back a page was last touched, in accesses and in other pages.

The access hits in a fully associative LRU cache of more pages than there were others since then (Mattson et al., IBM Systems
Journal 9(2), 1970). They are counted by a Fenwick tree over the times of each page's last access (as Bennett and Kruskal, IBM J.
Res. Dev. 19(4), 1975), which is packed when it is full, so that memory goes by the number of pages, not of accesses.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner, kernel
from memvirt.typing import Int

PARTS = 4  #: bins of intervals for each doubling
BINS = 63 * PARTS
LAST, NEXT, DISTINCT, COLD = 0, 1, 2, 3  #: of `Depths.cursor`: page of the last access, next slot, pages seen, first touches


class Depths(NamedTuple):
    """Accesses by the number of other pages since the page was last touched.

    Attributes
    ----------
    slot : (p,) int64
        Of each page, where in the order of last touches it stands; -1: nowhere yet.
    page : (m,) int64
        Page of each slot, though it may have gone on to a later one.
    tree : (m + 1,) int64
        Fenwick tree of how many slots are taken; m is a power of two, and twice p at the least.
    counts : (p,) int64
        Accesses by depth.
    cursor : (4,) int64
        `LAST`, `NEXT`, `DISTINCT`, `COLD`.
    """

    slot: NDArray[np.int64]
    page: NDArray[np.int64]
    tree: NDArray[np.int64]
    counts: NDArray[np.int64]
    cursor: NDArray[np.int64]


def depths(pages: int) -> Depths:
    """Nothing seen yet of so many pages."""
    size = max(1024, 1 << (2 * pages - 1).bit_length())
    cursor = np.array([-1, 0, 0, 0], np.int64)
    zeros = np.zeros(size + 1, np.int64)
    return Depths(np.full(pages, -1, np.int64), zeros[1:].copy(), zeros, np.zeros(max(pages, 1), np.int64), cursor)


@inner
def pack(state: Depths) -> None:
    """Move the taken slots together, in their order."""
    taken = 0
    for old in range(state.page.size):
        page = state.page[old]
        if state.slot[page] == old:
            state.page[taken], state.slot[page] = page, taken
            taken += 1
    state.cursor[NEXT] = taken
    for place in range(1, state.tree.size):
        state.tree[place] = 1 if place <= taken else 0
    for place in range(1, state.tree.size):
        above = place + (place & -place)
        if above < state.tree.size:
            state.tree[above] += state.tree[place]


@kernel
def count_depths(state: Depths, pages: NDArray[np.uint32]) -> None:
    """Count a stretch of accesses by the depth of their pages."""
    size = state.page.size
    last = state.cursor[LAST]
    for at in range(pages.size):
        page = np.int64(pages[at])
        if page == last:
            state.counts[0] += 1
            continue
        last = page
        if state.cursor[NEXT] == size:
            pack(state)
        old = state.slot[page]
        if old < 0:
            state.cursor[COLD] += 1
            state.cursor[DISTINCT] += 1
        else:
            before, place = np.int64(0), old + 1
            while place > 0:
                before += state.tree[place]
                place -= place & -place
            state.counts[state.cursor[DISTINCT] - before] += 1
            place = old + 1
            while place <= size:
                state.tree[place] -= 1
                place += place & -place
        new = state.cursor[NEXT]
        place = new + 1
        while place <= size:
            state.tree[place] += 1
            place += place & -place
        state.slot[page], state.page[new] = new, page
        state.cursor[NEXT] = new + 1
    state.cursor[LAST] = last


class Touches(NamedTuple):
    """What is known of pages.

    Attributes
    ----------
    last : (p,) int64
        Access that touched it last; -1: none.
    touched, written : (p,) int64
        Accesses to it, and writes.
    intervals, reach : (`BINS`,) int64
        Accesses by the interval to the next of the same page, and the sum of these intervals.
    map : (times, places) int64
        Accesses by time and place among the touched pages.
    """

    last: NDArray[np.int64]
    touched: NDArray[np.int64]
    written: NDArray[np.int64]
    intervals: NDArray[np.int64]
    reach: NDArray[np.int64]
    map: NDArray[np.int64]


@inner
def bin_of(interval: Int) -> Int:
    """Bin of an interval of at least 1: `PARTS` for each doubling."""
    whole: Int = 0
    for step in (32, 16, 8, 4, 2, 1):
        if interval >> (whole + step) > 0:
            whole += step
    return PARTS * whole + ((interval << 2) >> whole & 3)


def edges() -> NDArray[np.int64]:
    """Least interval of each bin, as far as an interval can be."""
    number = np.arange(BINS - 8 * PARTS)
    return np.ceil((PARTS + number % PARTS) * 2.0 ** (number // PARTS) / PARTS).astype(np.int64)


@kernel
def note_touches(state: Touches, pages: NDArray[np.uint32], lines: NDArray[np.uint8], first: int, total: int) -> None:
    """Note a stretch of accesses that begins at access ``first`` of ``total``."""
    times, places = state.map.shape
    for at in range(pages.size):
        page = np.int64(pages[at])
        now = first + at
        last = state.last[page]
        if last >= 0:
            place = bin_of(now - last)
            state.intervals[place] += 1
            state.reach[place] += now - last
        state.last[page] = now
        state.touched[page] += 1
        state.written[page] += lines[at] >> 7
        state.map[now * times // total, page * places // state.last.size] += 1


@kernel
def note_end(state: Touches, total: int) -> None:
    """Note the intervals from the last accesses to the end of the trace."""
    for page in range(state.last.size):
        last = state.last[page]
        if last >= 0:
            place = bin_of(total - last)
            state.intervals[place] += 1
            state.reach[place] += total - last
