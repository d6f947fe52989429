"""Nested elastic cuckoo page tables: hashed tables in both dimensions, three steps of parallel probes one after the other.

Skarlatos et al., ASPLOS'20; Stojkovic, Skarlatos, Kokolis, Xu and Torrellas, ASPLOS'22 (its advanced design). A table has `ways`
ways, each with its hash; an entry is a line of eight translations. Step 1 finds where in host memory the guest's candidate entries
are (all of them in 4K pages), step 2 reads them, step 3 finds the data page; over an identity host one step is left. At most
`parallel` probes are under way at a time, as many as Skylake's L1D has fill buffers: of those only the slowest takes time
(`walk_steps`), more go in turns. Which size of page to look for, and in which way, cuckoo walk caches say (`memvirt.mmu.cuckoo`).
They are looked up while the hashes are computed, before each step and within the first: the slower of `cwc_cycles` and
`hash_cycles` passes. Left out: cuckoo moves and resizing (a table has the size for all that its VM will touch at 60 % occupancy),
and pages of several sizes in one section: a header says its page's own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import ConfigError
from memvirt.jit import inner, inner_apart
from memvirt.mmu.cuckoo import ALL_SIZES, SIZE_KNOWN, Known, make_known, of_data, of_guest, of_table
from memvirt.mmu.mode import Setup, on_event, walk
from memvirt.mmu.port import (
    DATA_ROW,
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
    overlap,
    read_entry,
    take_cycles,
)
from memvirt.mmu.traffic import place_frames
from memvirt.mmu.two_dimensional import FAULTED, NONE_MISSING, ONCE, SERVED, take_event, walk_to_fault
from memvirt.types import Traits
from memvirt.typing import Int

OPTIONS = {
    "ways": 3,
    "parallel": 12,
    "hash_cycles": 2,
    "cwc_cycles": 4,
    "cwc_pud": 2,
    "cwc_pmd": 16,
    "cwc_pte": 16,
    "cwc_pte_tables": 4,
}
LIMITS = {
    "ways": (1, 64),
    **dict.fromkeys(("parallel", "cwc_pud", "cwc_pmd"), (1, 4096)),
    **dict.fromkeys(("cwc_pte", "cwc_pte_tables"), (0, 4096)),  # 0: no entries of 4K pages
}
TRAITS = Traits(host_unmap="vm")
OCCUPANCY, PER_LINE, LINES, SIZES = 0.6, 8, 64, 3
LEAF, NO_STEP = np.int64(0), np.int64(-1)
SLOWEST, SENT = np.int64(0), np.int64(1)
MIX = np.int64(-7046029254386353131)


class State(NamedTuple):
    """Where the tables are.

    Attributes
    ----------
    known : Known
        The cuckoo walk caches.
    base, lines : (vms, 2) int64
        By dimension: first host frame of a VM's table, and lines of one way for one size of page.
    ways, parallel, lookup_cycles : int
    step : (2,) int64
        Of the probes that are under way: where the slowest is, and how many have gone out in this step.
    """

    known: Known
    base: NDArray[np.int64]
    lines: NDArray[np.int64]
    ways: int
    parallel: int
    lookup_cycles: int
    step: NDArray[np.int64]


def number(setup: Setup, name: str) -> int:
    """Value of an option of which there must be at least one."""
    value = int(setup.option(name))
    if value < 1:
        raise ConfigError(f"mmu.{name}", value, "must be at least 1", [])
    return value


def table_lines(setup: Setup) -> NDArray[np.int64]:
    """Lines of one way for one size of page, of each VM and dimension."""
    things = np.stack([np.diff(setup.space.page_base), np.diff(setup.frames.frame_base)], axis=1)
    return np.asarray(np.ceil(things / PER_LINE / OCCUPANCY / number(setup, "ways")), np.int64) + 1


def frames_of_tables(setup: Setup) -> NDArray[np.int64]:
    """Host frames of each VM's table in each dimension, the table behind its cuckoo walk caches included."""
    lines = table_lines(setup)
    return -(-(lines * number(setup, "ways") * SIZES + walk_table_lines(lines, number(setup, "ways"))) // LINES)


def walk_table_lines(lines: NDArray[np.int64], ways: int) -> NDArray[np.int64]:
    """Lines of the table behind the cuckoo walk caches: one for each 64 lines of translations."""
    return np.asarray(lines * ways // LINES + SIZES)


def frames(setup: Setup) -> int:
    """Host frames that the tables take."""
    return int(frames_of_tables(setup).sum())


def make(setup: Setup) -> State:
    """State at the start."""
    taken, lines, ways = frames_of_tables(setup), table_lines(setup), number(setup, "ways")
    base = int(setup.port.spare) + np.cumsum(taken.ravel()).reshape(taken.shape) - taken
    for vm, frames_of_vm in enumerate(taken):
        place_frames(setup.port, vm, int(base[vm, 0]), int(frames_of_vm.sum()))
    known = make_known(setup, base, lines * ways * SIZES, walk_table_lines(lines, ways))
    lookup = int(max(setup.option("hash_cycles"), setup.option("cwc_cycles") if setup.config.pwc.enabled else 0))
    return State(known, base, lines, ways, number(setup, "parallel"), lookup, np.zeros(2, np.int64))


@inner
def begin_step(state: State, port: Port) -> None:
    """Begin a step, when what was under way is there."""
    state.step[SLOWEST], state.step[SENT] = NO_STEP, 0


@inner
def line_of(state: State, port: Port, dimension: Int, key: Int, size: Int, way: Int) -> Int:
    """Line of a VM's table in which a way would have an entry."""
    lines = state.lines[port.context[VM], dimension]
    hashed = (key * MIX + way * 1013904223 + size * 1664525) * MIX
    return (way * SIZES + size) * lines + (hashed >> 17) % lines  # type: ignore[no-any-return]


@inner
def probe(state: State, port: Port, dimension: Int, line: Int) -> None:
    """Read a line of a table; of it and what is under way with it, the slower hides the faster."""
    where = np.int64(
        read_entry(port, dimension, state.base[port.context[VM], dimension] + line // LINES, (line % LINES) << 3, LEAF)
    )
    if state.step[SENT] % state.parallel == 0:  # the first of a turn
        state.step[SLOWEST] = where
    else:
        overlap(port, min(where, state.step[SLOWEST]))
        state.step[SLOWEST] = max(where, state.step[SLOWEST])
    state.step[SENT] += 1


@inner
def is_probed(state: State, known: Int, key: Int, lowest: Int, size: Int, way: Int) -> bool:
    """Whether a way for a size of page must be probed, after what the caches know of the page."""
    if known == ALL_SIZES:
        return True
    return size == lowest and (known == SIZE_KNOWN or way == (key * MIX >> 40) % state.ways)


@inner
def guest_key(space: Int, vpn: Int, size: Int) -> Int:
    """Key of a page's line in the guest's table."""
    return space << 40 ^ vpn >> (9 * size) >> 3


@inner_apart
def probe_host(state: State, port: Port, gfn: Int, lowest: Int, known: Int) -> None:
    """Send out the probes for one guest-physical page."""
    for size in range(SIZES):
        key = gfn >> (9 * size) >> 3
        for way in range(state.ways):
            if is_probed(state, known, key, lowest, size, way):
                probe(state, port, HOST, line_of(state, port, HOST, key, np.int64(size), np.int64(way)))


@inner_apart
def walk_hashed(state: State, port: Port, page: Int, data: Int, faulted: Int) -> None:
    """Make the three steps, or the first two where a guest's fault ends the walk (``data`` is 0 then)."""
    begun = begin_walk(port)
    space, vpn = port.space_of_page[page], port.vpn[page]
    lowest = np.int64(port.guest_order[page]) // 9
    known = of_guest(state.known, port, space, vpn, lowest)
    take_cycles(port, state.lookup_cycles)
    nested = port.dimensions == 2 and port.host_frames.shape[1] > 0
    for host in range(1 if nested else 0, -1, -1):  # where the candidates are, then they themselves
        begin_step(state, port)
        if host:
            take_cycles(port, state.lookup_cycles)
        port.context[ROW] = HOST_ROW
        away = port.frame_base[port.context[VM] + 1] - port.frame_base[port.context[VM]]  # the guest's table lies beyond its data
        for size in range(SIZES):
            key = guest_key(space, vpn, size)
            for way in range(state.ways):
                if not is_probed(state, known, key, lowest, size, way):
                    continue
                line = line_of(state, port, GUEST, key, np.int64(size), np.int64(way))
                if host:
                    gfn = away + line // LINES
                    probe_host(state, port, gfn, LEAF, of_table(state.known, port, port.context[HOST_SPACE], gfn))
                else:
                    probe(state, port, GUEST, line)
    if data and nested:
        begin_step(state, port)
        take_cycles(port, state.lookup_cycles)
        port.context[ROW] = DATA_ROW
        frame = np.int64(port.frame_of_page[page])
        gfn, lowest = frame - port.context[FRAME_BASE], np.int64(port.order_of_frame[frame]) // 9
        probe_host(state, port, gfn, lowest, of_data(state.known, port, port.context[HOST_SPACE], gfn, lowest))
    end_walk(port, begun, faulted)


@walk.register
def _walk(state: State, port: Port, page: Int) -> None:
    walk_hashed(state, port, page, ONCE, SERVED)


@walk_to_fault.register
def _walk_to_fault(state: State, port: Port, page: Int, guest_missing: Int, data_missing: Int) -> None:
    walk_hashed(state, port, page, ONCE if data_missing >= 0 else NONE_MISSING, FAULTED)


@on_event.register
def _on_event(state: State, port: Port, event: Any, page: Int) -> None:
    take_event(state, state.known.caches, port, event, page)
