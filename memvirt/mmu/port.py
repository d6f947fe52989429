"""What a mode's walk reads tables through: the caches, the machine's present state, and the tally."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import kernel
from memvirt.mmu.caches import Caches, read_line

EXITS = ("ept_violation", "shadow_fault_true", "shadow_fault_hidden", "page_table_write", "cr3_write", "invlpg")
#: What is tallied while a run goes on; the counters of the room are made of these.
TALLY = (
    "walks",
    "faulting_walks",
    "walk_refs_guest",
    "walk_refs_host",
    "walk_refs_in_l1d",
    "walk_refs_in_l2",
    "walk_refs_in_llc",
    "walk_refs_in_memory",
    "walk_refs_in_memory_remote",
    "pwc_hits_guest",
    "pwc_hits_host",
    "data_refs_in_l1d",
    "data_refs_in_l2",
    "data_refs_in_llc",
    "data_refs_in_memory",
    "data_refs_in_memory_remote",
    *(f"vm_exits_{reason}" for reason in EXITS),
)
WALKS, FAULTING_WALKS, REFS_GUEST, REFS_HOST, IN_L1D = np.arange(5)
WALK_REMOTE = np.int64(TALLY.index("walk_refs_in_memory_remote"))
PWC_HITS = np.int64(TALLY.index("pwc_hits_guest"))
DATA_IN_L1D = np.int64(TALLY.index("data_refs_in_l1d"))
DATA_REMOTE = np.int64(TALLY.index("data_refs_in_memory_remote"))
EXIT = np.int64(TALLY.index("vm_exits_ept_violation"))
(EPT_VIOLATION, SHADOW_FAULT_TRUE, SHADOW_FAULT_HIDDEN, PAGE_TABLE_WRITE, CR3_WRITE, INVLPG) = EXIT + np.arange(len(EXITS))
GUEST, HOST = np.int64(0), np.int64(1)  #: dimensions
HISTOGRAM = 1024  #: references a walk that the histogram tells apart

# What `Port.now` holds.
CPU, NODE, VM, HOST_SPACE, FRAME_BASE, COUNTED = np.arange(6)


class Port(NamedTuple):
    """The machine as a walk sees it at this moment.

    Attributes
    ----------
    kind : int
        0 no caches, 1 table entries only, 2 data too.
    caches : Caches
    now : (6,) int64
        Physical CPU, its node, VM, the space of the VM's guest-physical addresses, first global frame of the
        VM, whether the epoch counts.
    tally : (`TALLY`,) int64
    histogram : (vms, refs) int64
    node_of_hfn : (host frames,) uint8
    frame_of_page, hfn_of_page : (pages,) uint32
    space_of_page : (pages,) int64
        Number of the page's address space; guest-physical spaces are numbered after all of them.
    space_base : (vms + 1,) int64
        First address space of each VM.
    page_of_frame, hfn_of_frame : (frames,) uint32
    order_of_frame : (frames,) uint8
    vpn : (pages,) int64
    guest_order : (pages,) uint8
    guest_row : (pages,) uint32
    guest_frames, host_frames : (rows, levels) uint32
        As `Tables.frames`.
    frame_base : (vms + 1,) int64
    dimensions : int
    """

    kind: int
    caches: Caches
    now: NDArray[np.int64]
    tally: NDArray[np.int64]
    histogram: NDArray[np.int64]
    node_of_hfn: NDArray[np.uint8]
    frame_of_page: NDArray[np.uint32]
    hfn_of_page: NDArray[np.uint32]
    space_of_page: NDArray[np.int64]
    space_base: NDArray[np.int64]
    page_of_frame: NDArray[np.uint32]
    hfn_of_frame: NDArray[np.uint32]
    order_of_frame: NDArray[np.uint8]
    vpn: NDArray[np.int64]
    guest_order: NDArray[np.uint8]
    guest_row: NDArray[np.uint32]
    guest_frames: NDArray[np.uint32]
    host_frames: NDArray[np.uint32]
    frame_base: NDArray[np.int64]
    dimensions: int


@kernel
def read_entry(port: Port, dimension: int, hfn: int, index: int) -> None:
    """Read entry ``index`` of the table in host frame ``hfn``, and tally where it was."""
    line = (np.int64(hfn) << 6) | ((index & 511) >> 3)
    where = np.int64(3)
    if port.kind:
        where = read_line(port.caches, port.now[CPU], port.now[NODE], line)
    port.tally[REFS_GUEST + dimension] += 1
    port.tally[IN_L1D + where] += 1
    if where == 3 and port.node_of_hfn[hfn] != port.now[NODE]:
        port.tally[WALK_REMOTE] += 1


@kernel
def begin_walk(port: Port) -> int:
    """Note that a walk begins; give what it returns to `end_walk`."""
    port.tally[WALKS] += 1
    return port.tally[REFS_GUEST] + port.tally[REFS_HOST]  # type: ignore[no-any-return]


@kernel
def end_walk(port: Port, begun: int, faulted: int) -> None:
    """Note that a walk is over, and its length."""
    port.tally[FAULTING_WALKS] += faulted
    if port.now[COUNTED]:
        refs = port.tally[REFS_GUEST] + port.tally[REFS_HOST] - begun
        port.histogram[port.now[VM], min(refs, HISTOGRAM - 1)] += 1


@kernel
def exit_to_host(port: Port, reason: int, times: int) -> None:
    """Tally VM exits."""
    port.tally[reason] += times


@kernel
def enter(port: Port, run: Any, node: int) -> None:
    """Turn to a run: its CPU, VM and epoch."""
    port.now[CPU] = run.cpu
    port.now[NODE] = node
    port.now[VM] = run.vm
    port.now[HOST_SPACE] = port.space_base[-1] + run.vm
    port.now[FRAME_BASE] = port.frame_base[run.vm]
    port.now[COUNTED] = run.epoch > 0
