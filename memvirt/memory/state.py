"""The state of the host loop as kernels see it: a handful of tables of records, nothing as long as a trace.

Each table has one row for each thing of its kind, so that a kernel takes one `World` of few arrays.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: No page, no frame, no table: `memvirt.types.NONE` as the signed numbers of this room have it.
NOTHING = np.int64(-1)

# Arguments of kernels that would otherwise be literals, for each of which numba compiles the callee again.
ZERO, ONE, SMALL, DATA_AREA, BLOCK = np.int64(0), np.int64(1), np.int64(0), np.int64(0), np.int64(512)
FOR_DATA, FOR_TABLE = np.int64(0), np.int64(1)

# Why the loop came back to Python.
OK = -1
DONE, REFILL, LOG_FULL, MORE_EPOCHS, GUEST_FULL, HOST_FULL = range(6)

# What a guest frame is used for.
FREE, DATA, CACHE, BALLOON, TABLE_FRAME, KERNEL = map(np.int64, range(6))

#: A base page of a guest: its number, its contents while no frame holds them, the global guest frame behind it, the range of
#: global pages that share the guest's (larger) page, its row of the guest's tables, the orders of the guest's page and of the
#: host's when first mapped (255 until then); whether it is read-only for copy-on-write; whether the guest's own
#: swap holds it, instead of its memory, or, where a frame does too, besides.
PAGE = np.dtype(
    [
        ("vpn", "<i8"),
        ("content", "<i8"),
        ("frame", "<i4"),
        ("first", "<i4"),
        ("end", "<i4"),
        ("row", "<i4"),
        ("order", "<i2"),
        ("host_order", "<i2"),
        ("cow", "<i2"),
        ("swapped", "<i2"),
    ],
    align=True,
)

#: A guest frame: the number of its contents (0: zeros; equal numbers are equal contents), the host frame behind it, the page
#: mapped there, the next free (or ballooned, cached) frame, the next guest frame behind which the same host frame lies and the
#: one before (`NOTHING`: none other does); its VM; the order of the host page; what the guest has there. Of that whole host
#: page, at its first frame: swap holds a copy; memory differs from it; the compressed slot that holds it, in quarters of a page
#: or bytes, if any. Of the frame itself: accessed since it was backed (1), and since it was last sampled (2); the epoch of the
#: last access; how many pages of its VM had been evicted when it was; read ahead and not accessed yet.
FRAME = np.dtype(
    [
        ("content", "<i8"),
        ("hfn", "<i4"),
        ("page", "<i4"),
        ("next_free", "<i4"),
        ("sharer", "<i4"),
        ("sharer_before", "<i4"),
        ("seen", "<i4"),
        ("gone", "<i4"),
        ("vm", "<i2"),
        ("packed", "<i2"),
        ("order", "i1"),
        ("swapped", "i1"),
        ("dirty", "i1"),
        ("accessed", "i1"),
        ("role", "i1"),
        ("ahead", "i1"),
    ],
    align=True,
)

#: A host frame: the next free one of its node, the node; how many guest frames it lies behind; the one of them that stands for it
#: in replacement (its first frame, for a large page); whether it is read-only since it was merged.
HOST_FRAME = np.dtype([("next_free", "<i4"), ("node", "<i2"), ("stable", "<i2"), ("refs", "<i4"), ("owner", "<i4")], align=True)

#: A page table: its global guest frame, and its host frame (of a guest's table: in one dimension only).
TABLE = np.dtype([("frame", "<i4"), ("hfn", "<i4")], align=True)

#: A source of frame numbers: the next small frame, the end of the open block, the first block not taken yet.
#: Rows ``2 v`` (data) and ``2 v + 1`` (tables, where they are kept apart) are VM ``v``'s, the last is the host's;
#: ``block`` counts in the first row of each pair.
BUMP = np.dtype([("next", "<i8"), ("end", "<i8"), ("block", "<i8")], align=True)

#: A VM: where its pages and frames start; frames in use by the guest and its memory; frames resident; accesses done and how
#: many are warm-up; when that ended (ns, negative before); its epoch, and that up to which the host's state was noted; lists,
#: of small and of large pages, of frames that are free, that are free and the host was told so, that are in the balloon; the
#: first frame of clean cache; frames free, of clean cache, in the balloon, those of them that the guest never used, how many
#: there should be, may be, and the access (plus one) before which it was pressed in vain; pages on the guest's own swap, the
#: most, those of them that are in its memory too, and the page from which on such copies are looked for when swap is full;
#: guest frames that share their host frame, and that don't own it; pages on host swap, compressed, evicted so far; of read-
#: ahead the last page that it was for, its last window and how many of that were accessed; shares, least and most resident
#: pages; estimated active pages; shares of its pages that fit 1 KiB and 2 KiB when compressed.
VM = np.dtype(
    [
        ("page_base", "<i8"),
        ("frame_base", "<i8"),
        ("used", "<i8"),
        ("limit", "<i8"),
        ("resident", "<i8"),
        ("done", "<i8"),
        ("warmup", "<i8"),
        ("counted_from", "<f8"),
        ("epoch", "<i8"),
        ("noted", "<i8"),
        ("free", "<i4", (2,)),
        ("reported", "<i4", (2,)),
        ("balloon", "<i4", (2,)),
        ("cache_first", "<i8"),
        ("freed", "<i8"),
        ("cached", "<i8"),
        ("ballooned", "<i8"),
        ("never_used", "<i8"),
        ("balloon_target", "<i8"),
        ("balloon_most", "<i8"),
        ("pressed", "<i8"),
        ("guest_swapped", "<i8"),
        ("guest_swap", "<i8"),
        ("copies", "<i8"),
        ("copy_next", "<i8"),
        ("shared", "<i8"),
        ("saved", "<i8"),
        ("swapped", "<i8"),
        ("compressed", "<i8"),
        ("evicted", "<i8"),
        ("ahead_last", "<i8"),
        ("ahead_window", "<i8"),
        ("ahead_hits", "<i8"),
        ("shares", "<f8"),
        ("least", "<i8"),
        ("most", "<i8"),
        ("active", "<f8"),
        ("fits_1k", "<f8"),
        ("fits_2k", "<f8"),
    ],
    align=True,
)

#: A vCPU: whose, where it runs, which of how many; accesses done and dealt, those that the window holds; its
#: address space; from when it may run (ns); its part of the guest events.
ACTOR = np.dtype(
    [
        ("vm", "<i8"),
        ("cpu", "<i8"),
        ("vcpu", "<i8"),
        ("vcpus", "<i8"),
        ("position", "<i8"),
        ("total", "<i8"),
        ("begin", "<i8"),
        ("filled", "<i8"),
        ("asid", "<i8"),
        ("ready", "<f8"),
        ("event_next", "<i8"),
        ("event_end", "<i8"),
    ],
    align=True,
)

#: A physical CPU: its clock and the end of the current slice (ns), the actor that runs (-1: none yet), its node,
#: and its number in the order of first use (-1: unused).
CPU = np.dtype([("clock", "<f8"), ("slice_end", "<f8"), ("current", "<i8"), ("node", "<i8"), ("label", "<i8")], align=True)

#: A NUMA node: data frames never used, data frames free in all, first free small frame and large block.
NODE = np.dtype([("capacity", "<i8"), ("free", "<i8"), ("free_small", "<i4"), ("free_large", "<i4")], align=True)

#: The one row of what there is one of: when the swap device's bus is free, and when what the current access waits for is done
#: (ns); 1 while nothing is logged or counted; rows written of the log; length of the merged order; CPUs in use; the last
#: contents written; data frames of the host, those free, and those that hold compressed pages; the host's memory state; when
#: background work is due next (ns): of sharing, ballooning, reclaim.
CLOCK = np.dtype(
    [
        ("bus_ns", "<f8"),
        ("awaited_ns", "<f8"),
        ("quiet", "<i8"),
        ("runs", "<i8"),
        ("events", "<i8"),
        ("merged", "<i8"),
        ("cpus", "<i8"),
        ("contents", "<i8"),
        ("total", "<i8"),
        ("free", "<i8"),
        ("pool", "<i8"),
        ("state", "<i8"),
        ("sharing_due", "<f8"),
        ("balloon_due", "<f8"),
        ("reclaim_due", "<f8"),
    ],
    align=True,
)

#: The one row of what the config fixes. ``share``: accesses dealt to a vCPU at a time; ``tracked``: the host can run
#: short, so replacement must see every access; ``contents``: what is written matters; ``forks``: some guest forks, so writes may
#: find their page read-only; ``margin``: events that one access, or one step of background work, can write at the most;
#: ``block``: frames that an area of a guest takes at a time, ``table_area`` the one that tables come from, ``table_order`` the
#: order of the host pages behind those (-1: as behind data); ``split``: a large host page is split when it is swapped out, and not
#: made where no block is free; ``per_vm``: reclaim asks for victims of one VM; ``foresees``: replacement knows the future;
#: ``readahead``: frames read at once; ``speedup``: seconds of background work for each of the VMs'.
RULES = np.dtype(
    [
        ("dimensions", "<i8"),
        ("nodes", "<i8"),
        ("ns_per_instruction", "<f8"),
        ("minor_fault_ns", "<f8"),
        ("slice_ns", "<f8"),
        ("epoch_ns", "<f8"),
        ("quantum", "<i8"),
        ("epoch_accesses", "<i8"),
        ("share", "<i8"),
        ("tracked", "<i8"),
        ("contents", "<i8"),
        ("forks", "<i8"),
        ("charge_tables", "<i8"),
        ("keep_mapped", "<i8"),
        ("host_levels", "<i8"),
        ("margin", "<i8"),
        ("block", "<i8"),
        ("table_area", "<i8"),
        ("table_order", "<i8"),
        ("split", "<i8"),
        ("per_vm", "<i8"),
        ("foresees", "<i8"),
        ("readahead", "<i8"),
        ("read_latency_ns", "<f8"),
        ("write_latency_ns", "<f8"),
        ("ns_per_page", "<f8"),
        ("share_ns", "<f8"),
        ("cow_ns", "<f8"),
        ("compress_ns", "<f8"),
        ("decompress_ns", "<f8"),
        ("scan_ns", "<f8"),
        ("sample_ns", "<f8"),
        ("speedup", "<f8"),
    ],
    align=True,
)

#: An event of a vCPU: before its own access ``at``; whether it begins a system call.
OWN_EVENT = np.dtype([("at", "<i8"), ("kind", "<i8"), ("asid", "<i8"), ("page", "<i8"), ("call", "<i8")], align=True)


class Window(NamedTuple):
    """The next accesses of each vCPU.

    Attributes
    ----------
    page : (actors, window) uint32
        Row of the VM's own `Pages`.
    line, gap : (actors, window) uint8
    coming : (actors, window) uint32
        When the page is accessed next (`memvirt.memory.foresight`); nothing where no policy foresees.
    """

    page: NDArray[np.uint32]
    line: NDArray[np.uint8]
    gap: NDArray[np.uint8]
    coming: NDArray[np.uint32]


class Now(NamedTuple):
    """Who is accessing memory at this moment: what a fault is charged to and stamped with."""

    vm: int
    cpu: int
    label: int
    node: int
    asid: int
    epoch: int
    at: int
    time_ns: float


class Policies(NamedTuple):
    """One state of each family; ``guest`` is the page replacement of the guests' own kernels, over global pages."""

    replacement: Any
    placement: Any
    table_placement: Any
    reclaim: Any
    sharing: Any
    balloon: Any
    compression: Any
    guest: Any


class World(NamedTuple):
    """Everything, so that a kernel takes one argument.

    Attributes
    ----------
    pages, frames, host_frames, vms, actors, cpus, nodes, bumps : record arrays
        Of the dtypes above.
    guest_rows, host_rows : (rows, levels) uint32
        Number of the table at each level, for each lowest-level table of all guests, and of the host.
    guest_tables, host_tables : (tables,) TABLE
    own_events : (e,) OWN_EVENT
        Those of each actor together.
    channels : (channels,) float64
        When each channel of the swap device is free (ns).
    clock, rules : (1,) CLOCK, RULES
    runs, events : (capacity,) RUN, EVENT
        The log, taken away when nearly full.
    counts : (vms, epochs, counters) int64
    """

    pages: Any
    frames: Any
    host_frames: Any
    vms: Any
    actors: Any
    cpus: Any
    nodes: Any
    bumps: Any
    guest_rows: NDArray[np.uint32]
    host_rows: NDArray[np.uint32]
    guest_tables: Any
    host_tables: Any
    window: Window
    own_events: Any
    channels: NDArray[np.float64]
    clock: Any
    rules: Any
    runs: Any
    events: Any
    counts: NDArray[np.int64]
    policies: Policies
