"""A guest hypervisor (L1) runs the guest (L2), on a host (L0) that has hardware for two dimensions of tables.

`walk`:

``two_dimensional`` (default)
    Multi-dimensional paging (Ben-Yehuda et al., OSDI'10): the host folds L1's tables for L2 (EPT12) and its own for L1 (EPT01)
    into one (EPT02), which hardware walks as any other: (Lg + 1)(Lh + 1) - 1 references. EPT02 is a shadow of EPT12. A page's
    first touch is an EPT violation that the host hands on to L1; L1 clears a page of its own, which the host has yet to back (a
    second violation), writes EPT12, which is trapped as a guest's write is under `shadow`, and resumes L2, which is a call of the
    host (``hypercall``); L2's next try is a hidden fault, after which EPT02 has the entry. What the host took away costs one
    violation to bring back.
``three_dimensional``
    Hypothetical: hardware that walks L2's tables, EPT12 and EPT01 behind each other, (Lg + 1)(Lm + 1)(Lh + 1) - 1 references, 124
    for 4·4·4. The host's entries and the guest's are cached as under `nested`, the middle ones aren't, and a nested TLB spans both
    lower dimensions. Violations are handed on as above, but nothing is shadowed.

L1 maps its guest's memory one to one over its own, in pages of the size of the host's, and takes nothing back, so that EPT12 is
never flushed (INVEPT) and, with `unsync`, a table of it that is out of sync stays so. Left out: L1's accesses of its VMCS, of
which each exit that reaches it makes many without VMCS shadowing, and what the host spends on merging VMCSs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner, inner_apart
from memvirt.mmu.mode import Setup, on_event, walk
from memvirt.mmu.port import (
    DATA_ROW,
    EPT_VIOLATION,
    FRAME_BASE,
    GUEST,
    HOST,
    HOST_ROW,
    HOST_SPACE,
    HYPERCALL,
    OUTER_ROW,
    PAGE_TABLE_WRITE,
    ROW,
    SHADOW_FAULT_HIDDEN,
    VM,
    Port,
    begin_walk,
    end_walk,
    exit_to_host,
    read_entry,
)
from memvirt.mmu.pwc import Pwc, first_level, in_nested_tlb, keep_entry, keep_in_nested_tlb, make_pwc
from memvirt.mmu.radix import CACHED, walk_tables
from memvirt.mmu.traffic import place_frames
from memvirt.mmu.two_dimensional import FAULTED, NONE_MISSING, ONCE, SERVED, run_into, take_event, walk_to_fault, walk_two
from memvirt.types import HOST_MAP, NONE, Traits
from memvirt.typing import Int

WALKS = ("two_dimensional", "three_dimensional")
OPTIONS = {"walk": WALKS, "unsync": True}
TRAITS = Traits(host_unmap="vm")


class State(NamedTuple):
    """The guest hypervisor's tables; where they are is known only if hardware walks them.

    Attributes
    ----------
    folded, keeps_unsync : bool
        Whether hardware walks EPT02; whether EPT12's lowest tables may be out of sync.
    known : (frames,) uint8
        Whether EPT12 maps a guest frame.
    unsync : (rows,) uint8
        Whether the table of EPT12 for 512 guest frames is out of sync.
    middle : (rows, levels) int64
        For each 512 guest frames, the frame of its table at each level, in the guest hypervisor's own memory: numbered from where
        the VM's frames end.
    outer : (rows, levels) int64
        Host frame of the host's table at each level, for each 512 of those frames.
    outer_row : (vms,) int64
        First row of each VM in it.
    """

    pwc: Pwc
    folded: bool
    keeps_unsync: bool
    known: NDArray[np.uint8]
    unsync: NDArray[np.uint8]
    middle: NDArray[np.int64]
    outer: NDArray[np.int64]
    outer_row: NDArray[np.int64]


def _shape(setup: Setup) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Tables of each VM's middle dimension by row and level, rows of the host's behind them, and each VM's first row and number."""
    hosts = setup.frames.host.frames
    levels = hosts.shape[1]
    owner = np.repeat(np.arange(setup.schedule.vms), np.diff(setup.frames.frame_base) // 512)
    within = np.arange(owner.size) - setup.frames.frame_base[owner] // 512
    middle = np.zeros((owner.size, levels), np.int64)
    count = np.zeros(setup.schedule.vms, np.int64)
    for vm in range(setup.schedule.vms):
        for level in range(levels - 1, -1, -1):
            distinct, place = np.unique(within[owner == vm] >> (9 * level), return_inverse=True)
            middle[owner == vm, level] = count[vm] + place
            count[vm] += distinct.size
    rows = -(-count // 512)
    return middle, count, np.concatenate([[0], np.cumsum(rows)[:-1]]).astype(np.int64), rows


def frames(setup: Setup) -> int:
    """Host frames: those behind the middle tables, and the host's tables for them."""
    if setup.option("walk") == WALKS[0]:
        return 0
    _, count, _, rows = _shape(setup)
    return int(count.sum() + rows.sum() * setup.frames.host.frames.shape[1])


def make(setup: Setup) -> State:
    """State at the start."""
    middle, count, first, rows = _shape(setup)
    levels = middle.shape[1]
    start = int(setup.port.spare) + np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.int64)
    owner = np.repeat(np.arange(setup.schedule.vms), np.diff(setup.frames.frame_base) // 512)
    tables = int(setup.port.spare) + int(count.sum())
    outer = tables + np.arange(int(rows.sum()) * levels, dtype=np.int64).reshape(-1, levels)
    if setup.option("walk") != WALKS[0]:
        for vm in range(setup.schedule.vms):
            place_frames(setup.port, vm, int(start[vm]), int(count[vm]))
            place_frames(setup.port, vm, tables + int(first[vm]) * levels, int(rows[vm]) * levels)
    return State(
        make_pwc(setup),
        setup.option("walk") == WALKS[0],
        bool(setup.option("unsync")),
        (setup.port.hfn_of_frame != NONE).astype(np.uint8),
        np.zeros(max(1, setup.port.hfn_of_frame.size // 512), np.uint8),
        # A middle table's number is kept as its host frame; what the host's walk needs besides is its number within the VM.
        middle + start[owner][:, None] if middle.size else middle,
        outer,
        first,
    )


@inner
def walk_outer(state: State, port: Port, table: Int, first: Int) -> None:
    """Translate where a middle table lies, through the host's tables; ``first`` is the VM's first such frame."""
    gfn = port.frame_base[port.context[VM] + 1] - port.context[FRAME_BASE] + table - first
    lowest = np.int64(port.order_of_frame[port.context[FRAME_BASE]]) // 9  # backed as the VM's memory is
    if in_nested_tlb(state.pwc, port, gfn, lowest):
        return
    port.context[ROW] = OUTER_ROW
    path = state.outer[state.outer_row[port.context[VM]] + ((table - first) >> 9)]
    walk_tables(state.pwc, port, HOST, port.context[HOST_SPACE], gfn, path, lowest, NONE_MISSING, CACHED)
    keep_in_nested_tlb(state.pwc, port, gfn, lowest)


@inner_apart
def walk_lower(state: State, port: Port, frame: Int, missing: Int, row: Int) -> None:
    """Translate a guest frame: through the middle tables, each behind the host's, then through the host's."""
    lowest = np.int64(port.order_of_frame[frame]) // 9
    gfn = frame - port.context[FRAME_BASE]
    path = state.middle[frame >> 9]
    first = state.middle[port.context[FRAME_BASE] >> 9, path.size - 1] if path.size else np.int64(0)
    if in_nested_tlb(state.pwc, port, gfn, lowest):
        return
    for level in range(path.size - 1, lowest - 1, -1):
        walk_outer(state, port, path[level], first)
        port.context[ROW] = row
        read_entry(port, HOST, path[level], gfn >> (9 * level), level)
    port.context[ROW] = OUTER_ROW
    walk_tables(state.pwc, port, HOST, port.context[HOST_SPACE], gfn, port.host_frames[frame >> 9], lowest, missing, CACHED)
    if missing == 0:
        keep_in_nested_tlb(state.pwc, port, gfn, lowest)


@inner_apart
def walk_three(state: State, port: Port, page: Int, guest_missing: Int, data_missing: Int, faulted: Int) -> None:
    """Walk in three dimensions."""
    begun = begin_walk(port)
    top = port.guest_frames.shape[1] - 1
    lowest = np.int64(port.guest_order[page]) // 9
    space, vpn = port.space_of_page[page], port.vpn[page]
    begin = first_level(state.pwc, port, GUEST, space, vpn, top, lowest)
    for level in range(begin, lowest + guest_missing - 1, -1):
        frame = np.int64(port.guest_frames[port.guest_row[page], level])
        if port.dimensions == 2 and (level == top or level < begin):
            walk_lower(state, port, frame, NONE_MISSING, HOST_ROW)
        read_entry(port, GUEST, port.hfn_of_frame[frame] if port.dimensions == 2 else frame, vpn >> (9 * level), level)
        if level > lowest + guest_missing:
            keep_entry(state.pwc, port.context[0], GUEST, space, vpn, level)
    if data_missing >= 0 and port.dimensions == 2:
        walk_lower(state, port, np.int64(port.frame_of_page[page]), data_missing, DATA_ROW)
    end_walk(port, begun, faulted)


@inner
def walk_as_told(state: State, port: Port, page: Int, guest_missing: Int, data_missing: Int, faulted: Int) -> None:
    """Walk what hardware knows of: EPT02, or all three."""
    if state.folded:
        walk_two(state.pwc, port, page, guest_missing, data_missing, faulted)
    else:
        walk_three(state, port, page, guest_missing, data_missing, faulted)


@inner
def middle_writes(state: State, port: Port, frame: Int, level: Int) -> None:
    """Let the guest hypervisor write EPT12 at a level."""
    row = frame >> 9
    if level == 0 and state.keeps_unsync:
        if state.unsync[row]:
            return
        state.unsync[row] = 1
    exit_to_host(port, PAGE_TABLE_WRITE, ONCE)


@inner_apart
def touch_first(state: State, port: Port, event: Any, page: Int) -> None:
    """Serve what neither EPT12 nor EPT01 has: the violation is handed on, and the guest hypervisor's own page is missing too."""
    exit_to_host(port, EPT_VIOLATION, ONCE + ONCE)
    exit_to_host(port, HYPERCALL, ONCE)
    if state.folded:
        highest = np.int64(port.host_frames.shape[1] - 1)
        middle_writes(state, port, np.int64(event.frame), min(np.int64(event.order) // 9 + np.int64(event.count), highest))
        if page != NONE:
            walk_as_told(state, port, page, NONE_MISSING, np.int64(event.count), FAULTED)
        exit_to_host(port, SHADOW_FAULT_HIDDEN, ONCE)
    for part in range(1 << np.int64(event.order)):
        state.known[np.int64(event.frame) + part] = 1


@walk.register
def _walk(state: State, port: Port, page: Int) -> None:
    walk_as_told(state, port, page, NONE_MISSING, NONE_MISSING, SERVED)


@walk_to_fault.register
def _walk_to_fault(state: State, port: Port, page: Int, guest_missing: Int, data_missing: Int) -> None:
    walk_as_told(state, port, page, guest_missing, data_missing, FAULTED)


@on_event.register
def _on_event(state: State, port: Port, event: Any, page: Int) -> None:
    if event.kind == HOST_MAP and not state.known[event.frame]:
        run_into(state, port, event, page)
        touch_first(state, port, event, page)
    else:
        take_event(state, state.pwc, port, event, page)
