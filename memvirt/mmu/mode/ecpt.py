"""Nested elastic cuckoo page tables: hashed tables in both dimensions, three steps of parallel probes one after the other.

Skarlatos et al., ASPLOS'20; Stojkovic, Skarlatos, Kokolis, Xu and Torrellas, ASPLOS'22. A table has `ways` ways, each with its
hash; an entry is a line of eight translations. Step 1 finds where in host memory the guest's candidate entries are, step 2 reads
them, step 3 finds the data page; within a step all probes go out together, so only the slowest takes time (`walk_steps`). The
page-walk caches of the level above a page stand for the cuckoo walk caches: a hit says which size of page to look for, a miss has
all three probed. Over an identity host one step is left. Left out: cuckoo moves and resizing (a table has the size for all that
its VM will touch at 60 % occupancy, and an entry any of its ways), the tables behind the cuckoo walk caches, and step 1's own
small cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner, inner_apart
from memvirt.mmu.mode import Setup, on_event, walk
from memvirt.mmu.port import (
    CPU,
    DATA_ROW,
    EPT_VIOLATION,
    FRAME_BASE,
    GUEST,
    HOST,
    HOST_ROW,
    HOST_SPACE,
    ROW,
    VM,
    Port,
    begin_walk,
    end_walk,
    exit_to_host,
    overlap,
    read_entry,
)
from memvirt.mmu.pwc import Pwc, first_level, keep_entry, make_pwc
from memvirt.mmu.two_dimensional import FAULTED, HOST_MAP, NONE_MISSING, ONCE, SERVED, SWAP_IN, fault_length, forget, is_fault
from memvirt.types import NONE, Traits

OPTIONS = {"ways": 3}
LIMITS = {"ways": (1, 64)}
TRAITS = Traits(host_unmap="vm")
OCCUPANCY, PER_LINE, LINES, SIZES = 0.6, 8, 64, 3
LEAF, NO_STEP = np.int64(0), np.int64(-1)
MIX = np.int64(-7046029254386353131)


class State(NamedTuple):
    """Where the tables are.

    Attributes
    ----------
    base, lines : (vms, 2) int64
        By dimension: first host frame of a VM's table, and lines of one way for one size of page.
    ways : int
    """

    pwc: Pwc
    base: NDArray[np.int64]
    lines: NDArray[np.int64]
    ways: int


def table_lines(setup: Setup) -> NDArray[np.int64]:
    """Lines of one way for one size of page, of each VM and dimension."""
    ways = max(1, int(setup.option("ways")))
    things = np.stack([np.diff(setup.space.page_base), np.diff(setup.frames.frame_base)], axis=1)
    return np.asarray(np.ceil(things / PER_LINE / OCCUPANCY / ways), np.int64) + 1


def frames_of_tables(setup: Setup) -> NDArray[np.int64]:
    """Host frames of each VM's table in each dimension."""
    ways = max(1, int(setup.option("ways")))
    return -(-table_lines(setup) * ways * SIZES // LINES)


def frames(setup: Setup) -> int:
    """Host frames that the tables take."""
    return int(frames_of_tables(setup).sum())


def make(setup: Setup) -> State:
    """State at the start."""
    taken = frames_of_tables(setup)
    base = int(setup.port.spare) + np.cumsum(taken.ravel()).reshape(taken.shape) - taken
    return State(make_pwc(setup), base, table_lines(setup), max(1, int(setup.option("ways"))))


@inner
def known_size(state: State, port: Port, dimension: int, space: int, number: int, lowest: int, top: int) -> bool:
    """Whether the cuckoo walk cache says which size of page a number has; else it will the next time."""
    if first_level(state.pwc, port, dimension, space, number, top, lowest) < top:
        return True
    if lowest < top:
        keep_entry(state.pwc, port.now[CPU], dimension, space, number, lowest + 1)
    return False


@inner
def line_of(state: State, port: Port, dimension: int, key: int, size: int, way: int) -> int:
    """Line of a VM's table in which a way would have an entry."""
    lines = state.lines[port.now[VM], dimension]
    hashed = (key * MIX + way * 1013904223 + size * 1664525) * MIX
    return (way * SIZES + size) * lines + (hashed >> 17) % lines  # type: ignore[no-any-return]


@inner
def probe(state: State, port: Port, dimension: int, key: int, size: int, way: int, slowest: int) -> int:
    """Read one way's line; returns the slower of it and of what was read beside it, which hides the faster."""
    line = line_of(state, port, dimension, key, size, way)
    where = read_entry(port, dimension, state.base[port.now[VM], dimension] + line // LINES, (line % LINES) << 3, LEAF)
    if slowest == NO_STEP:
        return np.int64(where)
    overlap(port, min(where, slowest))
    return np.int64(max(where, slowest))


@inner
def guest_key(space: int, vpn: int, size: int) -> int:
    """Key of a page's line in the guest's table."""
    return space << 40 ^ vpn >> (9 * size) >> 3


@inner_apart
def probe_host(state: State, port: Port, number: int, lowest: int, slowest: int) -> int:
    """Send out the probes for one guest-physical page."""
    space, top = port.now[HOST_SPACE], np.int64(port.host_frames.shape[1]) - 1
    known = known_size(state, port, HOST, space, number, lowest, top)
    for size in range(SIZES):
        if known and size != lowest:
            continue
        for way in range(state.ways):
            slowest = probe(state, port, HOST, number >> (9 * size) >> 3, np.int64(size), np.int64(way), slowest)
    return slowest


@inner_apart
def walk_hashed(state: State, port: Port, page: int, data: int, faulted: int) -> None:
    """Make the three steps, or the first two where a guest's fault ends the walk (``data`` is 0 then)."""
    begun = begin_walk(port)
    space, vpn = port.space_of_page[page], port.vpn[page]
    lowest = np.int64(port.guest_order[page]) // 9
    known = known_size(state, port, GUEST, space, vpn, lowest, np.int64(port.guest_frames.shape[1]) - 1)
    nested = port.dimensions == 2 and port.host_frames.shape[1] > 0
    if nested:
        port.now[ROW] = HOST_ROW
        slowest = NO_STEP
        away = port.frame_base[port.now[VM] + 1] - port.frame_base[port.now[VM]]  # the guest's table lies beyond its data
        for size in range(SIZES):
            for way in range(state.ways if size == lowest or not known else 0):
                line = line_of(state, port, GUEST, guest_key(space, vpn, size), np.int64(size), np.int64(way))
                slowest = probe_host(state, port, away + line // LINES, NONE_MISSING, slowest)
    slowest = NO_STEP
    for size in range(SIZES):
        for way in range(state.ways if size == lowest or not known else 0):
            slowest = probe(state, port, GUEST, guest_key(space, vpn, size), np.int64(size), np.int64(way), slowest)
    if data and nested:
        port.now[ROW] = DATA_ROW
        frame = np.int64(port.frame_of_page[page])
        probe_host(state, port, frame - port.now[FRAME_BASE], np.int64(port.order_of_frame[frame]) // 9, NO_STEP)
    end_walk(port, begun, faulted)


@walk.register
def _walk(state: State, port: Port, page: int) -> None:
    walk_hashed(state, port, page, ONCE, SERVED)


@on_event.register
def _on_event(state: State, port: Port, event: Any, page: int) -> None:
    kind = np.int64(event.kind)
    if is_fault(kind):
        if page != NONE:
            _, data_missing = fault_length(event, kind)
            walk_hashed(state, port, page, ONCE if data_missing >= 0 else NONE_MISSING, FAULTED)
        if kind == HOST_MAP or kind == SWAP_IN:
            exit_to_host(port, EPT_VIOLATION, ONCE)
    else:
        forget(state.pwc, port, event, page, kind)
