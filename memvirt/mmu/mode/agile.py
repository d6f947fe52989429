"""Agile paging: shadow for the upper levels, nested from a switching level down; a guest table moves when it pays.

Gandhi, Hill and Swift, ISCA'16: a walk begins in the shadow tables and goes on in the guest's where an entry says so: 4 + 4n
references with the last n levels nested. A write to a guest table that is shadowed exits, to one that is nested it doesn't.
`policy`:

``costs`` (default)
    A table moves when what its present mode has cost more than the other would have, since that was least, reaches `switch_worth`
    references (`return_worth` on the way back, which also empties TLB entries): a trapped write counts `write_worth`, a walk what
    the host's entries cost it, or `walk_worth` where it was spared them. So what is lost to the better mode is bounded by the
    switches.
``writes``
    The paper's: nested from the `threshold`-th write within `interval` accesses on, shadow again after an interval without one.
``static``
    The last `nested_levels` levels are nested throughout.

Everything starts in shadow but for `nested_levels`. A switch is an exit and empties the walk caches of its address space. Where a
table comes back it is synchronized, and its range is flushed from the TLBs: from now on the hypervisor invalidates it by linear
address, which combined entries made under nested would outlive. Loading an address space takes no exit while it is one of the
`contexts` whose shadow root the hardware remembers (the paper's section on context switches). Left out: tables above a nested one
that moves back alone (a table is shadowed only below shadowed ones).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner, inner_apart
from memvirt.mmu import shadow_tables
from memvirt.mmu.caches import insert_first, reuse
from memvirt.mmu.mode import Setup, on_event, walk
from memvirt.mmu.port import (
    AT,
    CR3_WRITE,
    EPT_VIOLATION,
    GUEST,
    INVLPG,
    MODE_SWITCH,
    PAGE_TABLE_WRITE,
    REFS_HOST,
    RESYNCS,
    SHADOW_FAULT_HIDDEN,
    SHADOW_FAULT_TRUE,
    Port,
    ask_flush,
    begin_walk,
    end_walk,
    exit_to_host,
    read_entry,
)
from memvirt.mmu.pwc import Pwc, drop_spaces, first_level, keep_entry, make_pwc
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
from memvirt.mmu.two_dimensional import (
    COW_FAULT,
    DROP,
    FAULTED,
    GUEST_MAP,
    NONE_MISSING,
    NOT_REACHED,
    ONCE,
    SERVED,
    SWITCH,
    fault_length,
    forget,
    is_fault,
)
from memvirt.types import NONE, Event, Traits

POLICIES = ("costs", "writes", "static")
OPTIONS = {
    "policy": POLICIES,
    "nested_levels": 0,
    "write_worth": 120.0,
    "walk_worth": 4.0,
    "switch_worth": 60.0,
    "return_worth": 300.0,
    "threshold": 2,
    "interval": 1_000_000,
    "contexts": 8,
}
LIMITS = {"contexts": (0, 4096)}
TRAITS = Traits(host_unmap="vm", fused=True)
TABLE_WRITE, GUEST_UNMAP = np.int64(Event.TABLE_WRITE), np.int64(Event.GUEST_UNMAP)
BY_COSTS, BY_WRITES = np.arange(2)
TO_NESTED, LATEST = np.int64(1), np.int64(3)


class State(NamedTuple):
    """Shadow tables, and how each of the guest's is translated.

    Attributes
    ----------
    nested : (tables,) uint8
        By number (`Shadow.table`); below a nested table all are.
    debt : (tables,) float64
        What the present mode has cost more than the other, since that was least; never negative.
    writes, last : (tables,) int64
        Writes in the present interval, and when the last was.
    contexts : (cpus, contexts) int64
        Spaces whose shadow root the hardware remembers, most recent first.
    rules : (4,) int64
        Policy, threshold, interval; whether the guest's last fault was on a nested table.
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
        np.full(tables, -(1 << 62), np.int64),
        np.full((setup.schedule.cpus, max(1, int(setup.option("contexts")))), -1, np.int64),
        np.array([POLICIES.index(setup.option("policy")), setup.option("threshold"), setup.option("interval"), 0], np.int64),
        np.array([setup.option(name) for name in ("write_worth", "walk_worth", "switch_worth", "return_worth")], np.float64),
    )


@inner
def switching_level(state: State, port: Port, page: int) -> int:
    """Highest level whose table on the way to a page is nested; -1 if all of the way is shadowed."""
    lowest = np.int64(port.guest_order[page]) // 9
    row = state.shadow.table[port.guest_row[page]]
    for level in range(row.size - 1, lowest - 1, -1):
        if state.nested[row[level]]:
            return level
    return -1


@inner_apart
def move(state: State, port: Port, page: int, level: int, to_nested: int) -> None:
    """Move the table at a level on the way to a page to the other mode, and all that lie below it to nested."""
    table = state.shadow.table[port.guest_row[page], level]
    state.debt[table] = 0.0
    first_row = last_row = np.int64(port.guest_row[page])
    while first_row > 0 and state.shadow.table[first_row - 1, level] == table:
        first_row -= 1
    while last_row + 1 < state.shadow.table.shape[0] and state.shadow.table[last_row + 1, level] == table:
        last_row += 1
    state.nested[table] = to_nested
    low, high = state.shadow.row_first[first_row], state.shadow.row_first[last_row + 1]
    if to_nested:
        for row in range(first_row, last_row + 1):
            for below in range(level):
                state.nested[state.shadow.table[row, below]] = 1
    elif level == np.int64(port.guest_order[page]) // 9:
        for other in range(low, high):  # the table comes back in sync
            if port.hfn_of_page[other] != NONE and np.int64(port.guest_order[other]) // 9 == level:
                fill_entry(state.shadow, port, other)
        port.tally[RESYNCS] += 1
    if not to_nested:
        ask_flush(port, low, high)
    exit_to_host(port, MODE_SWITCH, ONCE)
    drop_spaces(state.pwc, port.space_of_page[page], port.space_of_page[page] + 1)


@inner_apart
def guest_writes(state: State, port: Port, page: int, level: int) -> None:
    """Let the guest write the table at a level on the way to a page: trapped if it is shadowed, and then perhaps no longer."""
    table = state.shadow.table[port.guest_row[page], level]
    policy = state.rules[0]
    if port.now[AT] - state.last[table] > state.rules[2]:
        state.writes[table] = 0
    state.writes[table] += 1
    state.last[table] = port.now[AT]
    if state.nested[table]:
        state.debt[table] = max(0.0, state.debt[table] - state.worth[0])
        return
    exit_to_host(port, PAGE_TABLE_WRITE, ONCE)
    state.debt[table] += state.worth[0]
    due = policy == BY_COSTS and state.debt[table] >= state.worth[2]
    if due or (policy == BY_WRITES and state.writes[table] >= state.rules[1]):
        move(state, port, page, level, TO_NESTED)


@inner_apart
def weigh_walk(state: State, port: Port, page: int, switch: int, host_refs: int) -> None:
    """Account for a walk, after which the highest nested table on its way may go back to shadow."""
    lowest = np.int64(port.guest_order[page]) // 9
    row = state.shadow.table[port.guest_row[page]]
    if switch < 0:
        state.debt[row[lowest]] = max(0.0, state.debt[row[lowest]] - state.worth[1])
        return
    table = row[switch]
    state.debt[table] += host_refs
    due = state.rules[0] == BY_COSTS and state.debt[table] >= state.worth[3]
    if due or (state.rules[0] == BY_WRITES and port.now[AT] - state.last[table] > state.rules[2]):
        move(state, port, page, switch, NONE_MISSING)


@inner_apart
def walk_agile(state: State, port: Port, page: int, switch: int, guest_missing: int, data_missing: int, faulted: int) -> int:
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
            keep_entry(state.pwc, port.now[0], GUEST, space, vpn, level)
        level -= 1
    if switch >= 0 and level <= switch:
        walk_on(state.pwc, port, page, level, ONCE, guest_missing, data_missing)  # the entry before says where the table is
    end_walk(port, begun, faulted)
    return port.tally[REFS_HOST] - before  # type: ignore[no-any-return]


@walk.register
def _walk(state: State, port: Port, page: int) -> None:
    switch = switching_level(state, port, page)
    if switch < 0 and not is_present(state.shadow, page):
        walk_agile(state, port, page, switch, missing_tables(state.shadow, port, page), NOT_REACHED, FAULTED)
        exit_to_host(port, SHADOW_FAULT_HIDDEN, ONCE)
        fill_entry(state.shadow, port, page)
    host_refs = walk_agile(state, port, page, switch, NONE_MISSING, NONE_MISSING, SERVED)
    weigh_walk(state, port, page, switch, host_refs)


@inner_apart
def on_guest_fault(state: State, port: Port, event: Any, page: int, kind: int) -> None:
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
def _on_event(state: State, port: Port, event: Any, page: int) -> None:
    kind = np.int64(event.kind)
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
            zap_entry(state.shadow, page)
            state.shadow.entries.host_order[page] = event.order
        elif kind == SWITCH:
            space = port.space_base[event.vm] + np.int64(event.asid)
            row = np.int64(event.cpu)
            if not reuse(state.contexts, row, state.contexts.shape[1], space):
                insert_first(state.contexts, row, state.contexts.shape[1], space)
                exit_to_host(port, CR3_WRITE, ONCE)
        forget(state.pwc, port, event, page, kind)
