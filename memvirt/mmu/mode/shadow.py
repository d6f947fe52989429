"""Shadow paging: the hypervisor keeps a table gVA→hPA that the hardware walks in one dimension.

It write-protects the guest's tables, so that each of the guest's page-table writes exits, and fills its own
on hidden faults (Waldspurger, OSDI'02, section 2; Adams and Agesen, ASPLOS'06). Left out: unsynchronized pages,
prefetching of entries around a fault. After a trapped write the shadow entry is empty until the next access.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import kernel
from memvirt.memory.layout import radix_tables
from memvirt.mmu.mode import Setup, on_event, walk
from memvirt.mmu.port import (
    CR3_WRITE,
    GUEST,
    INVLPG,
    NODE,
    PAGE_TABLE_WRITE,
    SHADOW_FAULT_HIDDEN,
    SHADOW_FAULT_TRUE,
    Port,
    begin_walk,
    end_walk,
    exit_to_host,
)
from memvirt.mmu.pwc import Pwc, drop_spaces, flush_on_switch, make_pwc
from memvirt.mmu.radix import CACHED, NONE_MISSING, walk_tables
from memvirt.tlb.geometry import Entries, lay_out_entries
from memvirt.types import NONE, Event, Traits

TRAITS = Traits(flush_on_switch=True)
GUEST_MAP, DROP, SWITCH, TABLE_WRITE, GUEST_UNMAP = map(
    np.int64, (Event.GUEST_MAP, Event.DROP, Event.SWITCH, Event.TABLE_WRITE, Event.GUEST_UNMAP)
)
PREEMPT = np.int64(Event.PREEMPT)
FAULTED, SERVED, ONCE = np.int64(1), np.int64(0), np.int64(1)


class State(NamedTuple):
    """The shadow tables.

    Attributes
    ----------
    entries : Entries
        Which pages share an entry: those of the smaller of guest's and host's page.
    present : (pages,) uint8
        Of an entry, at its first page.
    table : (rows, levels) uint32
        Number of the table at each level.
    hfn : (tables + 1,) uint32
        Its host frame, `NONE` until needed; the last is the next frame to hand out.
    path : (levels,) uint32
        Host frames of the tables on the way of the walk that is going on.
    """

    pwc: Pwc
    entries: Entries
    present: NDArray[np.uint8]
    table: NDArray[np.uint32]
    hfn: NDArray[np.uint32]
    path: NDArray[np.uint32]


def tables_needed(setup: Setup) -> tuple[NDArray[np.uint32], int]:
    """Number the tables that shadow the guest's: of the same shape, one tree for each address space."""
    _, first = np.unique(setup.frames.guest.row, return_index=True)
    vpn = setup.space.vpn[first].astype(np.int64)
    groups = [setup.port.space_of_page[first]]
    table, count = radix_tables(groups, vpn >> 9, setup.frames.guest_levels)
    return table, count


def make(setup: Setup) -> State:
    """Shadow tables in sync with what is mapped and backed before access 0."""
    entries = lay_out_entries(setup.space, TRAITS.entry_size)
    table, count = tables_needed(setup)
    hfn = np.full(count + 1, NONE, np.uint32)
    hfn[-1] = setup.frames.host_frames
    state = State(
        make_pwc(setup.config.pwc, setup.schedule.cpus, True, not setup.vpid),
        entries,
        np.zeros(setup.space.vpn.size, np.uint8),
        table,
        hfn,
        np.zeros(table.shape[1], np.uint32),
    )
    mapped = np.flatnonzero(setup.port.hfn_of_page != NONE)
    fill_all(state, setup.port, mapped[np.argsort(setup.port.frame_of_page[mapped], kind="stable")])
    return state


@kernel
def lowest_level(state: State, page: int) -> int:
    """Level of a page's shadow entry."""
    return np.int64(min(state.entries.guest_order[page], state.entries.host_order[page])) // 9


@kernel
def fill_entry(state: State, port: Port, page: int) -> int:
    """Make a page's shadow entry, and the tables above it; returns how many of those were missing."""
    lowest = lowest_level(state, page)
    missing = 0
    for level in range(state.table.shape[1] - 1, lowest - 1, -1):
        table = state.table[port.guest_row[page], level]
        if state.hfn[table] == NONE:
            state.hfn[table] = state.hfn[-1]
            port.node_of_hfn[state.hfn[-1]] = port.now[NODE]
            state.hfn[-1] += 1
            missing += 1
    state.present[state.entries.tag[page, lowest]] = 1
    return missing


@kernel
def fill_all(state: State, port: Port, pages: NDArray[np.int64]) -> None:
    """Synchronize some pages."""
    for page in pages:
        fill_entry(state, port, page)


@kernel
def missing_tables(state: State, port: Port, page: int) -> int:
    """How many tables a page's shadow entry lacks."""
    missing = 0
    for level in range(lowest_level(state, page), state.table.shape[1]):
        if state.hfn[state.table[port.guest_row[page], level]] == NONE:
            missing += 1
    return missing


@kernel
def walk_shadow(state: State, port: Port, page: int, missing: int, faulted: int) -> None:
    """Walk the shadow tables, down to the entry or to where a table is missing."""
    begun = begin_walk(port)
    for level in range(state.path.size):
        state.path[level] = state.hfn[state.table[port.guest_row[page], level]]
    lowest = lowest_level(state, page)
    walk_tables(state.pwc, port, GUEST, port.space_of_page[page], port.vpn[page], state.path, lowest, missing, CACHED)
    end_walk(port, begun, faulted)


@walk.register
def _walk(state: State, port: Port, page: int) -> None:
    if not state.present[state.entries.tag[page, lowest_level(state, page)]]:
        walk_shadow(state, port, page, missing_tables(state, port, page), FAULTED)
        exit_to_host(port, SHADOW_FAULT_HIDDEN, ONCE)
        fill_entry(state, port, page)
    walk_shadow(state, port, page, NONE_MISSING, SERVED)


@on_event.register
def _on_event(state: State, port: Port, event: Any, page: int) -> None:
    kind = np.int64(event.kind)
    if kind == GUEST_MAP:
        walk_shadow(state, port, page, missing_tables(state, port, page), FAULTED)
        exit_to_host(port, SHADOW_FAULT_TRUE, ONCE)
        exit_to_host(port, PAGE_TABLE_WRITE, ONCE + np.int64(event.count))
    elif kind == DROP:
        state.present[state.entries.tag[page, lowest_level(state, page)]] = 0
        state.entries.host_order[page] = event.order
        drop_spaces(state.pwc, port.space_of_page[page], port.space_of_page[page] + 1)
    elif kind == SWITCH:
        flush_on_switch(state.pwc, port, event)
        exit_to_host(port, CR3_WRITE, ONCE)
    elif kind == PREEMPT:
        flush_on_switch(state.pwc, port, event)
    elif kind == TABLE_WRITE:
        exit_to_host(port, PAGE_TABLE_WRITE, ONCE)
    elif kind == GUEST_UNMAP:
        exit_to_host(port, PAGE_TABLE_WRITE, ONCE)
        exit_to_host(port, INVLPG, ONCE)
