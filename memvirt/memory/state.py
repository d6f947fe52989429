"""The state of the host loop as kernels see it: a handful of tables of records, nothing as long as a trace.

Each table has one row for each thing of its kind, so that a kernel takes one `World` of few arrays.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Counters of the memory room. ``resident_pages`` is the number at the end of the epoch; ``stall_ns`` the time
#: that vCPUs waited for the swap device.
COUNTERS = (
    "accesses",
    "instructions",
    "minor_faults",
    "host_minor_faults",
    "guest_cow_faults",
    "major_faults",
    "swap_in_pages",
    "swap_out_pages",
    "remote_accesses",
    "stall_ns",
    "resident_pages",
)
(
    ACCESSES,
    INSTRUCTIONS,
    MINOR_FAULTS,
    HOST_MINOR_FAULTS,
    GUEST_COW_FAULTS,
    MAJOR_FAULTS,
    SWAP_IN_PAGES,
    SWAP_OUT_PAGES,
    REMOTE_ACCESSES,
    STALL_NS,
    RESIDENT_PAGES,
) = np.arange(len(COUNTERS))

#: No page, no frame, no table: `memvirt.types.NONE` as the signed numbers of this room have it.
NOTHING = np.int64(-1)

# Arguments of kernels that would otherwise be literals, for each of which numba compiles the callee again.
ZERO, ONE, SMALL, DATA_AREA, BLOCK = np.int64(0), np.int64(1), np.int64(0), np.int64(0), np.int64(512)
FOR_DATA, FOR_TABLE = np.int64(0), np.int64(1)

# Why the loop came back to Python.
DONE, REFILL, LOG_FULL, MORE_EPOCHS, GUEST_FULL, HOST_FULL = range(6)

#: A base page of a guest: its number, the global guest frame behind it, the range of global pages that share
#: the guest's (larger) page, its row of the guest's tables, the orders of the guest's page and of the host's
#: when first mapped (255 until then); whether it is read-only for copy-on-write.
PAGE = np.dtype(
    [
        ("vpn", "<i8"),
        ("frame", "<i4"),
        ("first", "<i4"),
        ("end", "<i4"),
        ("row", "<i4"),
        ("order", "<i2"),
        ("host_order", "<i2"),
        ("cow", "<i4"),
    ],
    align=True,
)

#: A guest frame: the host frame behind it, the page mapped there, the next free frame; its VM; the order of the
#: host page. Of that whole host page, at its first frame: swap holds a copy; memory differs from it. Of the frame
#: itself: accessed since it was backed.
FRAME = np.dtype(
    [
        ("hfn", "<i4"),
        ("page", "<i4"),
        ("next_free", "<i4"),
        ("vm", "<i2"),
        ("order", "i1"),
        ("swapped", "i1"),
        ("dirty", "i1"),
        ("accessed", "i1"),
    ],
    align=True,
)

#: A host frame: the next free one of its node, and the node.
HOST_FRAME = np.dtype([("next_free", "<i4"), ("node", "<i4")], align=True)

#: A page table: its global guest frame, and its host frame (of a guest's table: in one dimension only).
TABLE = np.dtype([("frame", "<i4"), ("hfn", "<i4")], align=True)

#: A source of frame numbers: the next small frame, the end of the open block, the first block not taken yet.
#: Rows ``2 v`` (data) and ``2 v + 1`` (tables, where they are kept apart) are VM ``v``'s, the last is the host's;
#: ``block`` counts in the first row of each pair.
BUMP = np.dtype([("next", "<i8"), ("end", "<i8"), ("block", "<i8")], align=True)

#: A VM: where its pages and frames start; frames mapped and its memory; frames resident; accesses done and
#: how many are warm-up; when that ended (ns, negative before); its epoch; its free small and large frames.
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
        ("free_small", "<i4"),
        ("free_large", "<i4"),
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

#: A NUMA node: data frames never used, first free small frame and large block.
NODE = np.dtype([("capacity", "<i8"), ("free_small", "<i4"), ("free_large", "<i4")], align=True)

#: The one row of what there is one of: when the swap device is free, and when the read that the current access
#: waits for is done (ns); 1 while nothing is logged or counted; rows written of the log; length of the merged
#: order; CPUs in use.
CLOCK = np.dtype(
    [
        ("device_ns", "<f8"),
        ("awaited_ns", "<f8"),
        ("quiet", "<i8"),
        ("runs", "<i8"),
        ("events", "<i8"),
        ("merged", "<i8"),
        ("cpus", "<i8"),
    ],
    align=True,
)

#: The one row of what the config fixes. ``share``: accesses dealt to a vCPU at a time; ``tracked``: the host can run
#: short, so replacement must see every access; ``forks``: some guest forks, so writes may find their page read-only; ``margin``:
#: events that one access can write at the most; ``block``: frames that an area of a guest takes at a time, ``table_area`` the one
#: that tables come from, ``table_order`` the order of the host pages behind those (-1: as behind data); ``split``: a large
#: host page is split when it is swapped out, and not made where no block is free.
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
        ("forks", "<i8"),
        ("charge_tables", "<i8"),
        ("keep_mapped", "<i8"),
        ("host_levels", "<i8"),
        ("margin", "<i8"),
        ("block", "<i8"),
        ("table_area", "<i8"),
        ("table_order", "<i8"),
        ("split", "<i8"),
        ("read_latency_ns", "<f8"),
        ("ns_per_page", "<f8"),
    ],
    align=True,
)

#: An event of a vCPU: before its own access ``at``.
OWN_EVENT = np.dtype([("at", "<i8"), ("kind", "<i8"), ("asid", "<i8"), ("page", "<i8")], align=True)


class Window(NamedTuple):
    """The next accesses of each vCPU.

    Attributes
    ----------
    page : (actors, window) uint32
        Row of the VM's own `Pages`.
    line, gap : (actors, window) uint8
    """

    page: NDArray[np.uint32]
    line: NDArray[np.uint8]
    gap: NDArray[np.uint8]


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
    """One state of each family."""

    replacement: Any
    placement: Any
    table_placement: Any
    reclaim: Any


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
    clock: Any
    rules: Any
    runs: Any
    events: Any
    counts: NDArray[np.int64]
    policies: Policies
