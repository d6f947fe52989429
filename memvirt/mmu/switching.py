"""When agile paging moves a guest table between shadow and nested, and how; ``state`` is that of `memvirt.mmu.mode.agile`."""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt.jit import inner, inner_apart
from memvirt.mmu.port import AT, MODE_SWITCH, PAGE_TABLE_WRITE, RESYNCS, Port, ask_flush, exit_to_host
from memvirt.mmu.pwc import drop_spaces
from memvirt.mmu.shadow_tables import fill_entry
from memvirt.types import NONE
from memvirt.typing import Int

POLICIES = ("writes", "costs", "static")
BY_WRITES, BY_COSTS = np.arange(2)
ONCE, TO_NESTED, TO_SHADOW = np.int64(1), np.int64(1), np.int64(0)
POLICY, THRESHOLD, INTERVAL, LATEST, SCANNED = np.arange(5)


@inner
def switching_level(state: Any, port: Port, page: Int) -> Int:
    """Highest level whose table on the way to a page is nested; -1 if all of the way is shadowed."""
    lowest = np.int64(port.guest_order[page]) // 9
    row = state.shadow.table[port.guest_row[page]]
    for level in range(row.size - 1, lowest - 1, -1):
        if state.nested[row[level]]:
            return level
    return -1


@inner_apart
def move(state: Any, port: Port, page: Int, level: Int, to_nested: Int) -> None:
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
    drop_spaces(state.pwc, port.space_of_page[page], port.space_of_page[page] + 1)


@inner_apart
def scan(state: Any, port: Port) -> None:
    """Scan dirty bits at the end of an interval: what is nested below shadowed tables and was not written in it moves back."""
    over = port.context[AT] // state.rules[INTERVAL]
    if state.rules[POLICY] != BY_WRITES or over == state.rules[SCANNED]:
        return
    state.rules[SCANNED] = over
    moved = False
    levels = state.shadow.table.shape[1]
    for level in range(levels - 1, -1, -1):
        for row in range(state.shadow.table.shape[0]):
            table, page = state.shadow.table[row, level], state.shadow.row_first[row]
            above_shadowed = level + 1 == levels or not state.nested[state.shadow.table[row, level + 1]]
            if (
                state.nested[table]
                and above_shadowed
                and state.last[table] < over - 1
                and level >= np.int64(port.guest_order[page]) // 9
            ):
                move(state, port, page, level, TO_SHADOW)
                moved = True
    if moved:
        exit_to_host(port, MODE_SWITCH, ONCE)


@inner_apart
def guest_writes(state: Any, port: Port, page: Int, level: Int) -> None:
    """Let the guest write the table at a level on the way to a page: trapped if it is shadowed, and then perhaps no longer."""
    table = state.shadow.table[port.guest_row[page], level]
    policy, interval = state.rules[POLICY], port.context[AT] // state.rules[INTERVAL]
    if state.last[table] != interval:
        state.writes[table] = 0
        state.last[table] = interval
    if state.nested[table]:
        state.debt[table] = max(0.0, state.debt[table] - state.worth[0])
        return
    if level < state.shadow.path.size - 1 and state.shadow.hfn[table] == NONE:  # not shadowed yet
        return
    exit_to_host(port, PAGE_TABLE_WRITE, ONCE)
    state.writes[table] += 1
    state.debt[table] += state.worth[0]
    due = policy == BY_COSTS and state.debt[table] >= state.worth[2]
    if due or (policy == BY_WRITES and state.writes[table] >= state.rules[THRESHOLD]):
        exit_to_host(port, MODE_SWITCH, ONCE)
        move(state, port, page, level, TO_NESTED)


@inner_apart
def weigh_walk(state: Any, port: Port, page: Int, switch: Int, host_refs: Int) -> None:
    """Account for a walk, after which the highest nested table on its way may go back to shadow."""
    lowest = np.int64(port.guest_order[page]) // 9
    row = state.shadow.table[port.guest_row[page]]
    if switch < 0:
        state.debt[row[lowest]] = max(0.0, state.debt[row[lowest]] - state.worth[1])
        return
    table = row[switch]
    state.debt[table] += host_refs
    if state.rules[POLICY] == BY_COSTS and state.debt[table] >= state.worth[3]:
        exit_to_host(port, MODE_SWITCH, ONCE)
        move(state, port, page, switch, TO_SHADOW)
