"""Shadow paging: the hypervisor keeps a table gVA→hPA that the hardware walks in one dimension.

It write-protects the guest's tables once it shadows them, so that each of the guest's writes to one exits, and fills its own on
hidden faults (Waldspurger, OSDI'02, section 2; Adams and Agesen, ASPLOS'06). A table that is new is not shadowed yet: what the
guest writes there before its first access takes no exit. The root is shadowed when it is loaded.

`unsync` (the default, as in KVM since Linux 2.6.28): the first write to one of the guest's tables of 4K pages exits and lifts its
protection, further ones are free until the guest flushes. An INVLPG synchronizes the page's entry; a CR3 write or a flush
synchronizes and protects again every table of its address space that was written since (arch/x86/kvm/mmu/mmu.c,
`mmu_try_to_unsync_pages`, `mmu_sync_children`). Tables above those always trap. Without `unsync` every write to a shadowed
table exits, and leaves its shadow entry empty until the next access.

Left out: prefetching of entries around a fault, tables that KVM gives up shadowing because they are written too often, and exits
for what the guest's kernel itself touches first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner, inner_apart
from memvirt.mmu import shadow_tables
from memvirt.mmu.mode import Setup, on_event, walk
from memvirt.mmu.port import (
    CR3_WRITE,
    GUEST,
    INVLPG,
    PAGE_TABLE_WRITE,
    RESYNCS,
    SHADOW_FAULT_HIDDEN,
    SHADOW_FAULT_TRUE,
    Port,
    begin_walk,
    end_walk,
    exit_to_host,
)
from memvirt.mmu.pwc import Pwc, drop_spaces, flush_on_switch, flush_spaces, make_pwc
from memvirt.mmu.radix import CACHED, NONE_MISSING, walk_tables
from memvirt.mmu.shadow_tables import (
    Shadow,
    fill_entry,
    is_present,
    lowest_level,
    make_shadow,
    missing_tables,
    set_path,
    zap_entry,
    zap_guest_entry,
)
from memvirt.types import (
    COW_FAULT,
    DROP,
    EVERY_SPACE,
    FLUSH,
    GUEST_MAP,
    GUEST_UNMAP,
    NONE,
    PREEMPT,
    SWITCH,
    TABLE_WRITE,
    Traits,
)
from memvirt.typing import Int

OPTIONS = {"unsync": True}
TRAITS = Traits(flush_on_switch=True)
#: Of a fault of the guest, and of the host. A table that is out of sync takes no exit for its entry; that of the first is left out.
FAULT_EXITS = {"shadow_fault_true": (1, 0), "shadow_fault_hidden": (1, 1)}
HYPERVISOR_SETS_DIRTY = True  #: an entry is read-only until the guest's page is dirty
FAULTED, SERVED, ONCE = np.int64(1), np.int64(0), np.int64(1)
UNSYNC, SYNCED_DROPS = np.arange(2)

frames = shadow_tables.frames


class State(NamedTuple):
    """The shadow tables, and which of the guest's are out of sync.

    Attributes
    ----------
    rules : (2,) int64
        Whether tables may be out of sync; how many DROPs to come leave a synchronized entry.
    unsync : (tables,) uint8
    stack : (tables + 1,) int64
        Those out of sync, and last their number.
    space_of_table : (tables,) int64
    asid_of_space : (spaces,) int64
    """

    pwc: Pwc
    shadow: Shadow
    rules: NDArray[np.int64]
    unsync: NDArray[np.uint8]
    stack: NDArray[np.int64]
    space_of_table: NDArray[np.int64]
    asid_of_space: NDArray[np.int64]


def make(setup: Setup) -> State:
    """State at the start."""
    shadow = make_shadow(setup)
    tables = shadow.hfn.size - 1
    space = np.zeros(tables, np.int64)
    space[shadow.table] = setup.port.space_of_page[shadow.row_first[:-1]][:, None]
    rules = np.array([setup.option("unsync"), 0], np.int64)
    stack = np.zeros(tables + 1, np.int64)
    asid = setup.space.asid[setup.port.page_base[:-1]].astype(np.int64)
    return State(make_pwc(setup, tagged=False), shadow, rules, np.zeros(tables, np.uint8), stack, space, asid)


@inner_apart
def walk_shadow(state: State, port: Port, page: Int, missing: Int, faulted: Int) -> None:
    """Walk the shadow tables, down to the entry or to where a table is missing."""
    begun = begin_walk(port)
    set_path(state.shadow, port, page)
    lowest = lowest_level(state.shadow, page)
    path = state.shadow.path
    walk_tables(state.pwc, port, GUEST, port.space_of_page[page], port.vpn[page], path, lowest, missing, CACHED)
    end_walk(port, begun, faulted)


@inner
def guest_writes(state: State, port: Port, page: Int, level: Int) -> Int:
    """Let the guest write its table at a level on the way to a page; returns whether the shadow entry stays as it is for now."""
    table = np.int64(state.shadow.table[port.guest_row[page], level])
    shadowed = level == state.shadow.path.size - 1 or state.shadow.hfn[table] != NONE
    if state.unsync[table] or not shadowed:
        return 1
    exit_to_host(port, PAGE_TABLE_WRITE, ONCE)
    if state.rules[UNSYNC] and level == 0:
        state.unsync[table] = 1
        state.stack[state.stack[-1]] = table
        state.stack[-1] += 1
        return 1
    return 0


@inner
def resync(state: State, port: Port, vm: Int, asid: Int) -> None:
    """Synchronize and protect again what an address space of a VM, or each of them, has out of sync."""
    left = 0
    for number in range(state.stack[-1]):
        table = state.stack[number]
        space = state.space_of_table[table]
        mine = port.space_base[vm] <= space < port.space_base[vm + 1]
        if mine and (asid == EVERY_SPACE or state.asid_of_space[space] == asid):
            state.unsync[table] = 0
            port.tally[RESYNCS] += 1
        else:
            state.stack[left] = table
            left += 1
    state.stack[-1] = left


@walk.register
def _walk(state: State, port: Port, page: Int) -> None:
    if not is_present(state.shadow, page):
        walk_shadow(state, port, page, missing_tables(state.shadow, port, page), FAULTED)
        exit_to_host(port, SHADOW_FAULT_HIDDEN, ONCE)
        fill_entry(state.shadow, port, page)
    walk_shadow(state, port, page, NONE_MISSING, SERVED)


@inner_apart
def on_guest_event(state: State, port: Port, event: Any, page: Int, kind: Int) -> None:
    """Take notice of what the guest does to its tables."""
    lowest = np.int64(port.guest_order[page]) // 9
    if kind == GUEST_MAP:
        walk_shadow(state, port, page, missing_tables(state.shadow, port, page), FAULTED)
        exit_to_host(port, SHADOW_FAULT_TRUE, ONCE)
        guest_writes(state, port, page, min(lowest + np.int64(event.count), np.int64(state.shadow.path.size - 1)))
    elif kind == TABLE_WRITE:
        free = guest_writes(state, port, page, lowest)
        if np.int64(event.count) > 0:
            exit_to_host(port, INVLPG, ONCE)
        if free:
            state.rules[SYNCED_DROPS] = event.count
        else:
            zap_guest_entry(state.shadow, port, page)
    elif kind == GUEST_UNMAP:
        guest_writes(state, port, page, lowest)
        exit_to_host(port, INVLPG, ONCE)
    else:  # a COW_FAULT
        walk_shadow(state, port, page, missing_tables(state.shadow, port, page), FAULTED)
        exit_to_host(port, SHADOW_FAULT_TRUE, ONCE)


@on_event.register
def _on_event(state: State, port: Port, event: Any, page: Int) -> None:
    kind = np.int64(event.kind)
    if kind == DROP:
        if state.rules[SYNCED_DROPS] > 0:
            state.rules[SYNCED_DROPS] -= 1
        else:
            zap_entry(state.shadow, port, page)
        state.shadow.entries.host_order[page] = event.order
        drop_spaces(state.pwc, port.space_of_page[page], port.space_of_page[page] + 1)
    elif kind == SWITCH or kind == FLUSH:
        if kind == SWITCH:
            flush_on_switch(state.pwc, port, event)
        else:
            flush_spaces(state.pwc, port, event)
        exit_to_host(port, CR3_WRITE, ONCE)
        resync(state, port, np.int64(event.vm), np.int64(event.asid))
    elif kind == PREEMPT:
        flush_on_switch(state.pwc, port, event)
    elif page != NONE and (kind == GUEST_MAP or kind == TABLE_WRITE or kind == GUEST_UNMAP or kind == COW_FAULT):
        on_guest_event(state, port, event, page, kind)
