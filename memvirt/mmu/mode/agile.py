"""Agile paging: shadow for the upper levels, nested from a switching level down; a guest table moves when it pays.

Gandhi, Hill and Swift, ISCA'16: a walk begins in the shadow tables and goes on in the guest's where an entry says so: 4 + 4n
references with the last n levels nested. A write to a guest table that is shadowed exits, to one that is nested it doesn't.
`policy`:

``writes`` (default)
    The paper's. Writes to a table are few or many in any `interval` (its observation), so the `threshold`-th write within one moves
    the table and all below it to nested. At the end of each interval the hypervisor scans the dirty bits of the pages that hold
    nested tables, the upper levels first: one that was not written in it, below shadowed ones only, moves back. The interval is the
    paper's second (recalled), at one access a nanosecond: a detailed trace is shorter, and sees no scan unless `interval` is.
``costs``
    Our own: a table moves when what its present mode has cost more than the other would have, since that was least, reaches
    `switch_worth` references (`return_worth` on the way back, which also empties TLB entries): a trapped write counts
    `write_worth`, a walk what the host's entries cost it, or `walk_worth` where it was spared them. So what is lost to the better
    mode is bounded by the switches, whatever the program.
``static``
    The last `nested_levels` levels are nested throughout.

Everything starts in shadow but for `nested_levels`. A table that is new is not trapped before it is shadowed, as under `shadow`;
once it is, each write is, since the policy must see them (no `unsync`). A switch is an exit, as is a scan that moves tables, and
empties the walk caches of its address space. A table that comes back is synchronized, and its range is flushed from the TLBs: from
now on the hypervisor invalidates it by linear address, which combined entries made under nested would outlive. Loading an address
space takes no exit while it is one of the `contexts` whose shadow root the hardware remembers (the paper's section on context
switches). Left out: starting short-lived processes in nested, what the scan itself takes, and dirty bits that hardware sets in
guest tables.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner_apart
from memvirt.mmu import shadow_tables
from memvirt.mmu.caches import take
from memvirt.mmu.mode import Setup, on_event, walk
from memvirt.mmu.port import (
    CR3_WRITE,
    EPT_VIOLATION,
    GUEST,
    INVLPG,
    REFS_HOST,
    SHADOW_FAULT_HIDDEN,
    SHADOW_FAULT_TRUE,
    Port,
    begin_walk,
    end_walk,
    exit_to_host,
    read_entry,
)
from memvirt.mmu.pwc import EMPTY, Pwc, first_level, keep_entry, make_pwc
from memvirt.mmu.radix import walk_on
from memvirt.mmu.shadow_tables import (
    Shadow,
    fill_entry,
    is_present,
    make_shadow,
    make_table,
    missing_tables,
    set_path,
    zap_entry,
    zap_guest_entry,
)
from memvirt.mmu.switching import LATEST, POLICIES, guest_writes, scan, switching_level, weigh_walk
from memvirt.mmu.two_dimensional import FAULTED, NONE_MISSING, NOT_REACHED, ONCE, SERVED, fault_length, forget, is_fault
from memvirt.types import COW_FAULT, DROP, GUEST_MAP, GUEST_UNMAP, NONE, SWITCH, TABLE_WRITE, Traits
from memvirt.typing import Int

OPTIONS = {
    "policy": POLICIES,
    "nested_levels": 0,
    "write_worth": 120.0,
    "walk_worth": 4.0,
    "switch_worth": 60.0,
    "return_worth": 300.0,
    "threshold": 2,
    "interval": 1_000_000_000,
    "contexts": 8,
}
LIMITS = {"contexts": (0, 4096)}
TRAITS = Traits(host_unmap="vm", fused=True)


class State(NamedTuple):
    """Shadow tables, and how each of the guest's is translated.

    Attributes
    ----------
    nested : (tables,) uint8
        By number (`Shadow.table`); below a nested table all are.
    debt : (tables,) float64
        What the present mode has cost more than the other, since that was least; never negative.
    writes, last : (tables,) int64
        Writes in the interval of the last one, and which that was.
    contexts : (cpus, contexts) int64
        Spaces whose shadow root the hardware remembers, most recent first.
    rules : (5,) int64
        Policy, threshold, interval; whether the guest's last fault was on a nested table; intervals that are over and scanned.
    worth : (4,) float64
        Of a trapped write, of a walk, of a switch to nested, of one back, in references.
    """

    pwc: Pwc
    shadow: Shadow
    nested: NDArray[np.uint8]
    debt: NDArray[np.float64]
    writes: NDArray[np.int64]
    last: NDArray[np.int64]
    contexts: NDArray[np.int64]
    rules: NDArray[np.int64]
    worth: NDArray[np.float64]


frames = shadow_tables.frames


def make(setup: Setup) -> State:
    """State at the start."""
    shadow = make_shadow(setup)
    tables = shadow.hfn.size - 1
    nested = np.zeros(tables, np.uint8)
    nested[shadow.table[:, : min(int(setup.option("nested_levels")), shadow.table.shape[1])]] = 1
    return State(
        make_pwc(setup),
        shadow,
        nested,
        np.zeros(tables),
        np.zeros(tables, np.int64),
        np.full(tables, -2, np.int64),
        np.full((setup.schedule.cpus, max(1, int(setup.option("contexts")))), -1, np.int64),
        np.array(
            [POLICIES.index(setup.option("policy")), setup.option("threshold"), max(1, setup.option("interval")), 0, 0], np.int64
        ),
        np.array([setup.option(name) for name in ("write_worth", "walk_worth", "switch_worth", "return_worth")], np.float64),
    )


@inner_apart
def walk_agile(state: State, port: Port, page: Int, switch: Int, guest_missing: Int, data_missing: Int, faulted: Int) -> Int:
    """Walk the shadow tables down to the switching level, and on from there in both dimensions; returns the host's references."""
    begun = begin_walk(port)
    before = port.tally[REFS_HOST]
    space, vpn = port.space_of_page[page], port.vpn[page]
    for above in range(switch + 1 if switch >= 0 else state.shadow.path.size, state.shadow.path.size):
        make_table(state.shadow, port, page, above)
    set_path(state.shadow, port, page)
    top = state.shadow.path.size - 1
    shadow_lowest = shadow_tables.lowest_level(state.shadow, page)
    lowest = np.int64(port.guest_order[page]) // 9 if switch >= 0 else shadow_lowest
    begin = first_level(state.pwc, port, GUEST, space, vpn, top, lowest)
    level = begin
    stop = switch + 1 if switch >= 0 else lowest + guest_missing
    while level >= stop:
        table = state.shadow.path[level]
        if table == NONE:  # it has yet to be made
            break
        read_entry(port, GUEST, table, vpn >> (9 * level), level)
        if level > lowest + guest_missing:
            keep_entry(state.pwc, port.context[0], GUEST, space, vpn, level)
        level -= 1
    if switch >= 0 and level <= switch:
        walk_on(state.pwc, port, page, level, ONCE, guest_missing, data_missing)  # the entry before says where the table is
    end_walk(port, begun, faulted)
    return port.tally[REFS_HOST] - before  # type: ignore[no-any-return]


@walk.register
def _walk(state: State, port: Port, page: Int) -> None:
    scan(state, port)
    switch = switching_level(state, port, page)
    if switch < 0 and not is_present(state.shadow, page):
        walk_agile(state, port, page, switch, missing_tables(state.shadow, port, page), NOT_REACHED, FAULTED)
        exit_to_host(port, SHADOW_FAULT_HIDDEN, ONCE)
        fill_entry(state.shadow, port, page)
    host_refs = walk_agile(state, port, page, switch, NONE_MISSING, NONE_MISSING, SERVED)
    weigh_walk(state, port, page, switch, host_refs)


@inner_apart
def on_guest_fault(state: State, port: Port, event: Any, page: Int, kind: Int) -> None:
    """Walk into the guest's own fault, and let it write its tables."""
    lowest = np.int64(port.guest_order[page]) // 9
    new = np.int64(event.count) if kind == GUEST_MAP else NONE_MISSING
    row = state.shadow.table[port.guest_row[page]]
    for level in range(lowest + new - 1, lowest - 1, -1):  # a new table is translated as the one above it
        if level + 1 < row.size:
            state.nested[row[level]] = state.nested[row[level + 1]]
    switch = switching_level(state, port, page)
    state.rules[LATEST] = switch >= 0
    if switch < 0:
        walk_agile(state, port, page, switch, missing_tables(state.shadow, port, page), NOT_REACHED, FAULTED)
        exit_to_host(port, SHADOW_FAULT_TRUE, ONCE)
    else:
        walk_agile(state, port, page, switch, new, NOT_REACHED if kind == GUEST_MAP else NONE_MISSING, FAULTED)
    if kind == GUEST_MAP:
        for level in range(min(lowest + new, row.size - 1), lowest - 1, -1):
            guest_writes(state, port, page, np.int64(level))


@on_event.register
def _on_event(state: State, port: Port, event: Any, page: Int) -> None:
    kind = np.int64(event.kind)
    scan(state, port)
    if kind == GUEST_MAP or kind == COW_FAULT:
        on_guest_fault(state, port, event, page, kind)
    elif kind == TABLE_WRITE or kind == GUEST_UNMAP:
        level = np.int64(port.guest_order[page]) // 9
        if switching_level(state, port, page) < 0:
            zap_guest_entry(state.shadow, port, page)
            exit_to_host(port, INVLPG, min(ONCE, np.int64(event.count)))
        guest_writes(state, port, page, level)
    elif is_fault(kind):
        if page != NONE:
            switch = switching_level(state, port, page)
            if switch >= 0:
                _, data_missing = fault_length(event, kind)
                walk_agile(state, port, page, switch, NONE_MISSING, data_missing, FAULTED)
                exit_to_host(port, EPT_VIOLATION, ONCE)
        elif state.rules[LATEST]:  # what the guest's kernel writes in its fault
            exit_to_host(port, EPT_VIOLATION, ONCE)
    else:
        if kind == DROP:
            zap_entry(state.shadow, port, page)
            state.shadow.entries.host_order[page] = event.order
        elif kind == SWITCH:
            space = port.space_base[event.vm] + np.int64(event.asid)
            row = np.int64(event.cpu)
            if not take(state.contexts, row, state.contexts.shape[1], space, EMPTY):
                exit_to_host(port, CR3_WRITE, ONCE)
        forget(state.pwc, port, event, page, kind)
