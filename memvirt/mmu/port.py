"""What a mode's walk reads tables through: the caches, the machine's present state, and the tally."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.by_address import by_address
from memvirt.counters import Counter, names_of
from memvirt.jit import inner
from memvirt.memory.placement._turns import Turns
from memvirt.mmu.caches import Caches, read_beyond_l1d, read_line
from memvirt.mmu.traffic import GUEST_TABLES, SHADOW_TABLES, note_reference
from memvirt.types import EXITS, ON_EVERY, PATH_BITS, PLACES
from memvirt.typing import Int

COUNTERS = (
    Counter("walks", "walks", doc="of page tables"),
    Counter("faulting_walks", "walks", doc="that ended in a fault"),
    Counter("walk_refs_guest", "references", doc="of walks, to entries of the guest's dimension (of a process: all)"),
    Counter("walk_refs_host", "references", doc="of walks, to entries of the host's dimension"),
    Counter(
        "walk_refs_in_{}",
        "references",
        doc="of walks, by where they were found; a remote one stands under memory as well",
        over=PLACES,
    ),
    Counter("walk_refs_overlapped_in_{}", "references", doc="of walks, that went out beside a slower one", over=PLACES),
    Counter(
        "walk_refs_in_stacked", "references", doc="to memory stacked on the die, which stand under memory as well (`mmu=pom_tlb`)"
    ),
    Counter(
        "walk_lookup_cycles", "cycles", doc="of looking up what a mode adds to the walker: hashes, cuckoo walk caches (`mmu=ecpt`)"
    ),
    Counter("pwc_lookups_guest", "look-ups", doc="of page-walk caches of the guest's dimension, all levels at once being one"),
    Counter("pwc_lookups_host", "look-ups", doc="of page-walk caches of the host's dimension, all levels at once being one"),
    Counter("nested_tlb_lookups", "look-ups", doc="of the nested TLB"),
    Counter("pwc_hits_guest", "hits", doc="of page-walk caches of the guest's dimension"),
    Counter("pwc_hits_host", "hits", doc="of page-walk caches of the host's dimension"),
    Counter("nested_tlb_hits", "hits", doc="of the nested TLB"),
    Counter(
        "pom_tlb_lookups", "references", doc="of walks, to lines of the TLB in memory, which the L1D doesn't hold (`mmu=pom_tlb`)"
    ),
    Counter("ad_updates_guest", "updates", doc="of accessed and dirty bits of guest entries by the hardware"),
    Counter("ad_updates_host", "updates", doc="of accessed and dirty bits of host entries by the hardware"),
    Counter("resyncs", "tables", doc="shadow tables that were synchronized"),
    Counter("shadow_replica_writes", "entries", doc="of replicas of shadow tables, that are filled or emptied"),
    Counter(
        "data_refs_in_{}",
        "references",
        doc="of data, by where they were found; a remote one stands under memory as well",
        over=PLACES,
    ),
    Counter("vm_exits_{}", "exits", doc="by reason", over=EXITS),
)
TALLY = names_of(COUNTERS)


def place_of(name: str) -> Any:
    """Place of a counter in the tally."""
    return np.int64(TALLY.index(name))


WALKS, FAULTING_WALKS = place_of("walks"), place_of("faulting_walks")
REFS_GUEST, REFS_HOST, IN_L1D = place_of("walk_refs_guest"), place_of("walk_refs_host"), place_of("walk_refs_in_l1d")
WALK_STACKED, LOOKUP_CYCLES = place_of("walk_refs_in_stacked"), place_of("walk_lookup_cycles")
WALK_REMOTE, OVERLAPPED = place_of("walk_refs_in_memory_remote"), place_of("walk_refs_overlapped_in_l1d")
PWC_LOOKUPS, NESTED_TLB_LOOKUPS = place_of("pwc_lookups_guest"), place_of("nested_tlb_lookups")
PWC_HITS, NESTED_TLB_HITS = place_of("pwc_hits_guest"), place_of("nested_tlb_hits")
POM_TLB_LOOKUPS = place_of("pom_tlb_lookups")
AD_UPDATES_GUEST, AD_UPDATES_HOST = place_of("ad_updates_guest"), place_of("ad_updates_host")
RESYNCS, REPLICA_WRITES = place_of("resyncs"), place_of("shadow_replica_writes")
DATA_IN_L1D, DATA_REMOTE = place_of("data_refs_in_l1d"), place_of("data_refs_in_memory_remote")
(
    EPT_VIOLATION,
    SHADOW_FAULT_TRUE,
    SHADOW_FAULT_HIDDEN,
    WRITE_PROTECT,
    PAGE_TABLE_WRITE,
    CR3_WRITE,
    INVLPG,
    HYPERCALL,
    MODE_SWITCH,
) = place_of("vm_exits_ept_violation") + np.arange(len(EXITS))

GUEST, HOST = np.int64(0), np.int64(1)  #: dimensions
#: What a reference is read for: the guest's table, the host's on the way to one of the guest's tables, the host's on the way
#: to the data, and the outer host's below a guest hypervisor.
ROWS = ("guest", "host", "data", "outer")
GUEST_ROW, HOST_ROW, DATA_ROW, OUTER_ROW = np.arange(4)
LEVELS = 5
HISTOGRAM = 1024  #: references a walk that the histogram tells apart

# What `Port.context` holds: physical CPU, its node, VM, the space of the VM's guest-physical addresses, first global frame of the
# VM, whether the epoch counts, whether the access is a write, the row that references are read for, the place in the merged order,
# the epoch.
CPU, NODE, VM, HOST_SPACE, FRAME_BASE, COUNTED, WRITES, ROW, AT, EPOCH = np.arange(10)
# What `Port.walk` holds: references so far by place, look-ups of walk caches, references to stacked memory, cycles of looking up
# what a mode adds, then whether the walk is one that faults.
WALK_LOOKUPS, STACKED, ADDED, WALK_FAULTS = np.arange(5, 9)


@by_address
class Port(NamedTuple):
    """The machine as a walk sees it at this moment.

    Attributes
    ----------
    kind : int
        0 no caches, 1 table entries only, 2 data too.
    caches : Caches
    context : (10,) int64
        Who is walking, and why.
    walk : (9,) int64
        What the walk that goes on has read.
    tally : (names,) int64
        Numbers of the `TALLY`, then of the mode's own counters.
    counts : (1,) record
        The same by name: the fields of the `COUNTERS` and of those that the mode's file declares (`memvirt.counters`).
    histogram : (vms, refs) int64
    levels : (vms, `ROWS`, `LEVELS`, `PLACES`) int64
        References by what they were read for and where they were; a remote one stands under memory as well.
    paths : (vms, slots, 2) int64
        Hash table of walks: references by place and look-ups of walk caches, packed, plus 1; and how many walks were so.
    flush : (3,) int64
        Whether a mode asks for a TLB flush, and of which range of global pages.
    ad : (3,) int64
        Whether accessed and dirty bits are kept; whether a first write to a clean guest entry exits; whether one to a clean host
        page does.
    clean : (pages,) uint8
        Of each guest entry, at its first page: 2 neither accessed nor dirty, 1 not dirty.
    host_clean : (frames,) uint8
        Of each host page, at its first guest frame.
    node_of_hfn : (host frames,) uint8
    frame_of_page, hfn_of_page : (pages,) uint32
    space_of_page : (pages,) int64
        Number of the page's address space; guest-physical spaces are numbered after all of them.
    space_base : (vms + 1,) int64
        First address space of each VM.
    page_base : (spaces + 1,) int64
        First page of each address space.
    page_of_frame, hfn_of_frame : (frames,) uint32
    order_of_frame : (frames,) uint8
    vpn : (pages,) int64
    guest_order : (pages,) uint8
    first_page : (pages,) uint32
        First of the pages that share the guest's (larger) page.
    guest_row : (pages,) uint32
    guest_frames, host_frames : (rows, levels) uint32
        As `Tables.frames`.
    frame_base : (vms + 1,) int64
    dimensions : int
    spare : int
        First host frame that no one uses, for tables that a mode adds.
    traffic : (vms, epochs, `READ_KINDS`, nodes, nodes) int64
        References to memory by node of CPU and of memory (`memvirt.mmu.traffic`); of size 0 where there is one node.
    added : Turns
        Where tables go that a mode adds.
    copies : int
        Of each of them, beside the one that stands for all.
    home_of_vm : (vms,) int64
        Node of the first CPU that each VM runs on.
    """

    kind: int
    caches: Caches
    context: NDArray[np.int64]
    walk: NDArray[np.int64]
    tally: NDArray[np.int64]
    counts: Any
    histogram: NDArray[np.int64]
    levels: NDArray[np.int64]
    paths: NDArray[np.int64]
    flush: NDArray[np.int64]
    ad: NDArray[np.int64]
    clean: NDArray[np.uint8]
    host_clean: NDArray[np.uint8]
    node_of_hfn: NDArray[np.uint8]
    frame_of_page: NDArray[np.uint32]
    hfn_of_page: NDArray[np.uint32]
    space_of_page: NDArray[np.int64]
    space_base: NDArray[np.int64]
    page_base: NDArray[np.int64]
    page_of_frame: NDArray[np.uint32]
    hfn_of_frame: NDArray[np.uint32]
    order_of_frame: NDArray[np.uint8]
    vpn: NDArray[np.int64]
    guest_order: NDArray[np.uint8]
    first_page: NDArray[np.uint32]
    guest_row: NDArray[np.uint32]
    guest_frames: NDArray[np.uint32]
    host_frames: NDArray[np.uint32]
    frame_base: NDArray[np.int64]
    dimensions: int
    spare: int
    traffic: NDArray[np.int64]
    added: Turns
    copies: int
    home_of_vm: NDArray[np.int64]


@inner
def read_entry(port: Port, dimension: Int, hfn: Int, index: Int, level: Int) -> Int:
    """Read entry ``index`` of the table in host frame ``hfn``, and tally where it was, which is returned (a place of `PLACES`)."""
    line = (np.int64(hfn) << 6) | ((index & 511) >> 3)
    where: Int = np.int64(3)
    if port.kind:
        where = read_line(port.caches, port.context[CPU], line)
    port.tally[REFS_GUEST + dimension] += 1
    port.tally[IN_L1D + where] += 1
    port.walk[where] += 1
    remote = where == 3 and port.node_of_hfn[hfn] != port.context[NODE] and port.node_of_hfn[hfn] != ON_EVERY
    if where == 3 and port.traffic.size > 0:
        kind = SHADOW_TABLES if hfn >= port.spare else GUEST_TABLES + dimension
        note_reference(
            port.traffic, port.context[VM], port.context[EPOCH], kind, port.context[NODE], np.int64(port.node_of_hfn[hfn])
        )
    if remote:
        port.tally[WALK_REMOTE] += 1
        port.walk[4] += 1
    if port.context[COUNTED]:
        row = port.context[ROW] if dimension else GUEST_ROW
        port.levels[port.context[VM], row, level, where] += 1
        if remote:
            port.levels[port.context[VM], row, level, 4] += 1
    return np.int64(4) if remote else np.int64(where)


@inner
def read_stacked(port: Port, hfn: Int, index: Int) -> Int:
    """Read a line of memory stacked on the die, which is cached from the L2 on and has a price of its own; returns where it was."""
    where: Int = np.int64(3)
    if port.kind:
        where = read_beyond_l1d(port.caches, port.context[CPU], (np.int64(hfn) << 6) | index)
    port.tally[POM_TLB_LOOKUPS] += 1
    port.tally[REFS_GUEST] += 1
    port.tally[IN_L1D + where] += 1
    port.walk[where] += 1
    if where == 3:
        port.tally[WALK_STACKED] += 1
        if port.traffic.size > 0:  # the die's own
            note_reference(
                port.traffic, port.context[VM], port.context[EPOCH], SHADOW_TABLES, port.context[NODE], port.context[NODE]
            )
        port.walk[STACKED] += 1
    if port.context[COUNTED]:
        port.levels[port.context[VM], GUEST_ROW, 0, where] += 1
    return where  # type: ignore[no-any-return]


@inner
def take_cycles(port: Port, cycles: Int) -> None:
    """Note the time of looking up what a mode adds to the walker: hashes, filters, caches of its own."""
    port.tally[LOOKUP_CYCLES] += cycles
    port.walk[ADDED] += cycles


@inner
def overlap(port: Port, where: Int) -> None:
    """Note that a reference was read beside a slower one, and so takes no time of its own."""
    port.tally[OVERLAPPED + min(where, 3)] += 1
    port.walk[min(where, 3)] -= 1
    if where == 4:  # which stands under memory as well
        port.tally[OVERLAPPED + 4] += 1
        port.walk[4] -= 1


@inner
def count_lookup(port: Port, counter: Int) -> None:
    """Tally a look-up of a walk cache, which takes its time whatever comes of it."""
    port.tally[counter] += 1
    port.walk[WALK_LOOKUPS] += 1


@inner
def count_hit(port: Port, counter: Int) -> None:
    """Tally a hit of a walk cache."""
    port.tally[counter] += 1


@inner
def begin_walk(port: Port) -> Int:
    """Note that a walk begins; give what it returns to `end_walk`."""
    port.tally[WALKS] += 1
    for place in range(WALK_FAULTS):
        port.walk[place] = 0
    return port.tally[REFS_GUEST] + port.tally[REFS_HOST]  # type: ignore[no-any-return]


@inner
def end_walk(port: Port, begun: Int, faulted: Int) -> None:
    """Note that a walk is over, and what it read."""
    port.tally[FAULTING_WALKS] += max(faulted, port.walk[WALK_FAULTS])
    if port.context[COUNTED]:
        refs = port.tally[REFS_GUEST] + port.tally[REFS_HOST] - begun
        port.histogram[port.context[VM], min(refs, HISTOGRAM - 1)] += 1
        key = np.int64(0)
        for place in range(WALK_FAULTS):
            key = (key << PATH_BITS) | min(port.walk[place], (1 << PATH_BITS) - 1)
        keep_path(port.paths[port.context[VM]], key + 1)


@inner
def keep_path(paths: NDArray[np.int64], key: Int) -> None:
    """Count a path; one too many for the table is left out."""
    slots = paths.shape[0]
    place = (key * -7046029254386353131 >> 20) & (slots - 1)
    for _ in range(slots):
        if paths[place, 0] == key:
            paths[place, 1] += 1
            return
        if paths[place, 0] == 0:
            paths[place, 0] = key
            paths[place, 1] = 1
            return
        place = (place + 1) & (slots - 1)


@inner
def exit_to_host(port: Port, reason: Int, times: Int) -> None:
    """Tally VM exits."""
    port.tally[reason] += times


@inner
def ask_flush(port: Port, low: Int, high: Int) -> None:
    """Ask a `fused` mode's TLBs to flush a range of global pages on every CPU."""
    port.flush[1] = min(port.flush[1], low) if port.flush[0] else low
    port.flush[2] = max(port.flush[2], high) if port.flush[0] else high
    port.flush[0] = 1


@inner
def enter(port: Port, run: Any, node: Int) -> None:
    """Turn to a run: its CPU, VM and epoch."""
    port.context[CPU] = run.cpu
    port.context[NODE] = node
    port.context[VM] = run.vm
    port.context[HOST_SPACE] = port.space_base[-1] + run.vm
    port.context[FRAME_BASE] = port.frame_base[run.vm]
    port.context[COUNTED] = run.epoch > 0
    port.context[EPOCH] = run.epoch
