"""What crosses from one room to the next: dtypes, shapes and units.

The field's words are used throughout: ``vpn`` is a guest-virtual, ``gfn`` a guest-physical and ``hfn``
a host-physical frame number, all in units of 4 KiB; ``order`` is log2 of a page's size in 4 KiB pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.typing import U1, U2, U4, U8, dtype_of

PAGE_BITS = 12  #: log2 of the bytes in a base page
LINE_BITS = 6  #: log2 of the bytes in a cache line, and of the lines in a base page
LEVEL_BITS = 9  #: log2 of the entries in one page table
ENTRIES_PER_LINE_BITS = 3  #: log2 of the 8-byte entries in one cache line
FIRST_FRAME = 0x100  #: the first frame that a guest or a host hands out
ORDERS = {"4K": 0, "2M": 9, "1G": 18}  #: page sizes by name
ON_EVERY = 0xFF  #: the node of a table that has a replica on each (`Nodes.node_of_hfn`)
NONE = 0xFFFFFFFF  #: no page, no frame, no table (in a uint32 array)
WRITE = 0x80  #: the bit of ``Accesses.line`` that says the access is a write
FETCH = 0x40  #: the one that says it is an instruction fetch
LINE_MASK = 0x3F  #: the bits of ``Accesses.line`` that name the line
CHUNK = 1 << 20  #: accesses that a room looks at in one step
#: Where a reference is found; a remote one stands under memory as well.
PLACES = ("l1d", "l2", "llc", "memory", "memory_remote")
#: What is read from memory: data, tables of processes (in a VM its guest's), the host's behind a VM, and those that a mode adds.
READ_KINDS = ("data", "guest_tables", "host_tables", "shadow_tables")
PATH_BITS = 7  #: of each number in the key of a path: what a walk took, as the MMU packs it and the cost room prices it


class Accesses(NamedTuple):
    """A stretch of one VM's trace.

    Attributes
    ----------
    page : (n,) uint32
        Row of the page in the VM's `Pages`.
    line : (n,) uint8
        64-byte line within the page (0..63), with `WRITE` set for a write and `FETCH` for an instruction fetch.
    gap : (n,) uint8
        Instructions from the previous access to this one, this one's own included.
    """

    page: NDArray[np.uint32]
    line: NDArray[np.uint8]
    gap: NDArray[np.uint8]


def piece(columns: Accesses, first: int, last: int) -> Accesses:
    """Accesses ``first`` to ``last`` of some; views."""
    return Accesses(columns.page[first:last], columns.line[first:last], columns.gap[first:last])


def joined(parts: list[Accesses]) -> Accesses:
    """One after the other; a view of a single one."""
    if len(parts) == 1:
        return parts[0]
    page, line, gap = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Accesses(page, line, gap)


class Pages(NamedTuple):
    """The base pages that one VM's trace can touch, ascending by (asid, vpn).

    A larger page is thus a contiguous range of rows, and an address space too.

    Attributes
    ----------
    vpn : (p,) uint64
        Guest-virtual page number, 4 KiB.
    asid : (p,) uint16
        Address space.
    """

    vpn: NDArray[np.uint64]
    asid: NDArray[np.uint16]


class GuestEvent(IntEnum):
    """What a workload does besides accessing memory; effective before access ``at`` of its own trace."""

    SWITCH = 1  #: load the address space `asid`
    UNMAP = 2  #: unmap the page (`page` is a row of `Pages`)
    TABLE_WRITE = 3  #: rewrite the page-table entry of `page` without changing what it maps, and INVLPG it
    PROTECT = 4  #: make `page` read-only for copy-on-write, as a fork does; a FLUSH follows the last
    FLUSH = 5  #: flush the translations of `asid` from this CPU; of every address space if it is `EVERY_SPACE`
    IDLE = 6  #: do nothing for `page` microseconds
    PACE = 7  #: an access takes `page` ns of CPU time from now on, whatever its instructions; 0: as these take
    UNTIL = 8  #: do nothing until `page` milliseconds after the VM's start, if that is to come


EVERY_SPACE = 0xFFFF  #: the ``asid`` of a FLUSH that spares none

GUEST_EVENT = np.dtype(
    [
        ("at", "<u8"),  # access of the VM's own trace
        ("kind", "u1"),  # `GuestEvent`
        ("asid", "<u2"),
        ("page", "<u4"),  # row of `Pages`; of IDLE, PACE and UNTIL a time
    ]
)


STEP = np.dtype([("time", "<f8"), ("at", "<u8")])  #: of a page life: seconds after the VM's start, its first visit


@dataclass(frozen=True)
class Trace:
    """What one VM does, from its first access to its last.

    Attributes
    ----------
    pages : Pages
        Every page that may be touched.
    accesses : int
        Their number.
    events : (e,) GUEST_EVENT
        Ascending in ``at``.
    chunks : sequence of Accesses
        `CHUNK` accesses each, the last one shorter; may be generated as it is asked for.
    fetches : bool
        Whether some of them are instruction fetches.
    life : bool
        Whether it is a page life: an access is a visit, which stands for all accesses to its page within a step.
    scale : float
        How many of the VM's pages each of `pages` stands for, all of which are done to what is done to it.
    steps : (steps,) STEP
        When the steps of a page life begin; empty of another trace.
    files : (p,) bool
        Which of `pages` are files', so that the guest has them on its disk; empty where none is.
    """

    pages: Pages
    accesses: int
    events: NDArray[np.void]
    chunks: Sequence[Accesses]
    fetches: bool = False
    life: bool = False
    scale: float = 1.0
    steps: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, STEP))
    files: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    def read(self, start: int, stop: int) -> Accesses:
        """Accesses ``start`` to ``stop``; a view where they lie in one chunk."""
        first, last = start // CHUNK, max(start, stop - 1) // CHUNK
        parts = []
        for number in range(first, last + 1):
            base = number * CHUNK
            chunk = self.chunks[number]
            parts.append(piece(chunk, max(start - base, 0), stop - base))
        return joined(parts)


class Event(IntEnum):
    """What happens to the machine between accesses; effective before access ``at`` of the merged order.

    ``page`` is a global page number (`Space.page_base`), or `NONE`; ``frame`` a global guest frame
    (`Frames.frame_base`). What else is to be known of each kind stands in `EVENTS`.
    """

    GUEST_MAP = 1  #: the guest maps `page` (all of its larger page) at `frame`; `count` new guest tables
    HOST_MAP = 2  #: the host backs the host page at `frame` with `hfn`; `count` new host tables; no I/O
    SWAP_IN = 3  #: as HOST_MAP, the contents read from swap
    EVICT = 4  #: the host takes the host page at `frame` away; `count` DROPs follow
    DROP = 5  #: the translation of `page` is no more; `order` is what its host page has from now on
    SWITCH = 6  #: `vm` loads address space `asid` on `cpu`
    PREEMPT = 7  #: physical CPU `cpu` goes over to `vm`
    TABLE_WRITE = 8  #: the guest rewrites the table entry of `page`; `count` DROPs follow (none: a FLUSH will)
    GUEST_UNMAP = 9  #: the guest unmaps `page` (all of its larger page); `count` DROPs follow
    FLUSH = 10  #: the guest flushes `asid` on `cpu`, or all of its address spaces (`EVERY_SPACE`)
    COW_FAULT = 11  #: an access to `page`, which is mapped, faults: read-only after a fork, or hinted; a TABLE_WRITE follows
    REMAP = (
        12  #: the host puts `hfn` behind `frame` (all of its host page): a merged page, a part of a split one, one that was moved
    )
    MOVE = 13  #: a vCPU of `vm` goes on on `cpu`, where the host flushes its VM's translations; the VM is on `count` other CPUs
    HINT = 14  #: the host makes memory of `vm` inaccessible, to learn of the next access to each page; `count` DROPs follow
    TABLE_MOVE = 15  #: the host page of `order` at `hfn`, in which page tables lie, is on node `count` from now on


class EventKind(NamedTuple):
    """What is to be known of a kind of event.

    Attributes
    ----------
    fields : tuple of str
        What of `EVENT` it says, besides ``at``, ``kind``, ``epoch`` and ``vm``; the rest is blank, or who was running.
    fault : {'', 'guest', 'host'}
        Who serves the fault that it is, if it names a page: the walk of access ``at`` runs into it, in the order of the events,
        and is then tried again.
    backs : bool
        Whether it puts host frames behind guest frames.
    invept : bool
        Whether the host changes what is behind a VM's memory: it knows no address of the guest's, so all combined entries go
        (INVEPT).
    rooms : tuple of str
        Which rooms take notice of it.
    """

    fields: tuple[str, ...]
    fault: str = ""
    backs: bool = False
    invept: bool = False
    rooms: tuple[str, ...] = ("mmu",)


#: The kinds of events; ``tlb`` among the rooms makes a kind one of `Machine.shootdowns`.
EVENTS = {
    Event.GUEST_MAP: EventKind(("page", "frame", "hfn", "count", "order"), fault="guest"),
    Event.HOST_MAP: EventKind(("page", "frame", "hfn", "count", "order"), fault="host", backs=True),
    Event.SWAP_IN: EventKind(("page", "frame", "hfn", "count", "order"), fault="host", backs=True),
    Event.EVICT: EventKind(("frame", "count", "order"), invept=True, rooms=("tlb", "mmu")),
    Event.DROP: EventKind(("page", "order"), rooms=("tlb", "mmu")),
    Event.SWITCH: EventKind(("asid", "cpu"), rooms=("tlb", "mmu")),
    Event.PREEMPT: EventKind(("cpu",), rooms=("tlb", "mmu")),
    Event.TABLE_WRITE: EventKind(("page", "frame", "count", "order")),
    Event.GUEST_UNMAP: EventKind(("page", "frame", "count", "order")),
    Event.FLUSH: EventKind(("asid", "cpu"), rooms=("tlb", "mmu")),
    Event.COW_FAULT: EventKind(("page", "frame", "order"), fault="guest"),
    Event.REMAP: EventKind(("frame", "hfn", "order"), backs=True),
    Event.MOVE: EventKind(("cpu", "count"), rooms=("tlb", "mmu")),
    Event.HINT: EventKind(("count",), invept=True, rooms=("tlb", "mmu")),
    Event.TABLE_MOVE: EventKind(("hfn", "count", "order")),
}

# The kinds as kernels compare with them, in the order of `Event`.
(
    GUEST_MAP,
    HOST_MAP,
    SWAP_IN,
    EVICT,
    DROP,
    SWITCH,
    PREEMPT,
    TABLE_WRITE,
    GUEST_UNMAP,
    FLUSH,
    COW_FAULT,
    REMAP,
    MOVE,
    HINT,
    TABLE_MOVE,
) = map(np.int64, Event)


def _kinds(chosen: Iterable[Event]) -> np.int64:
    """A set of kinds as kernels have it, a bit each: ``FAULTS >> kind & 1``."""
    return np.int64(sum(1 << kind for kind in chosen))


FAULTS = _kinds(kind for kind, known in EVENTS.items() if known.fault)
HOST_FAULTS = _kinds(kind for kind, known in EVENTS.items() if known.fault == "host")
BACKINGS = _kinds(kind for kind, known in EVENTS.items() if known.backs)
INVEPTS = _kinds(kind for kind, known in EVENTS.items() if known.invept)
SHOOTDOWNS = _kinds(kind for kind, known in EVENTS.items() if "tlb" in known.rooms)


class EventRecord:
    """An `Event`."""

    at: U8  # place in the merged order: it is effective before that access
    page: U4
    frame: U4
    hfn: U4
    count: U4  # new tables, or DROPs that follow
    epoch: U8  # of the access at ``at``; as wide as leaves no gap, which would have to be cleared before a log is hashed
    vm: U2  # of the access at ``at``; of EVICT, its DROPs and REMAP the VM whose frame it is
    asid: U2
    cpu: U2  # physical CPU in the order of first use
    kind: U1  # `Event`
    order: U1  # of the host page; of the guest's, where the guest writes or unmaps an entry


class RunRecord:
    """A stretch of the merged order that one vCPU runs on one physical CPU within one epoch."""

    at: U8  # its first access in the merged order
    start: U8  # and in the VM's own trace
    length: U4  # accesses
    epoch: U4  # 0 is the warm-up, which no result counts
    vm: U2
    cpu: U2  # physical CPU in the order of first use
    asid: U2


EVENT, RUN = dtype_of(EventRecord), dtype_of(RunRecord)


#: Why a guest leaves to its hypervisor.
EXITS = (
    "ept_violation",
    "shadow_fault_true",
    "shadow_fault_hidden",
    "write_protect",
    "page_table_write",
    "cr3_write",
    "invlpg",
    "hypercall",
    "mode_switch",
)


class Segment(NamedTuple):
    """A range of each address space that is translated by base and limit, with an escape filter (Gandhi et al., MICRO'14).

    Attributes
    ----------
    share : float
        Of the address space's pages, from its lowest.
    bad : float
        Share of those that must escape from the segment.
    filter_bits, hashes : int
        The Bloom filter that knows them; what it takes for one of them escapes as well.
    seed : int
    """

    share: float
    bad: float
    filter_bits: int
    hashes: int
    seed: int


class Traits(NamedTuple):
    """What a translation mode tells the TLB, as data, so that the TLB knows no mode.

    Attributes
    ----------
    entry_size : {'guest', 'smaller'}
        An entry spans the guest's page, or the smaller of guest and host page.
    flush_on_switch : bool
        Loading an address space flushes the VM's entries on that CPU even where they are tagged.
    host_unmap : {'page', 'vm'}
        What an EVICT takes out of the TLBs: the pages that it names, or all of the VM's entries.
    dimensions : {1, 2}
        1: the VMs are processes of the host, and the guest's tables map straight to host frames.
    fused : bool
        Flushes depend on what walks find, so that TLB and MMU are one kernel.
    dirty : {'none', 'walk'}
        What the first write to an entry that was loaded clean takes: nothing, or a walk, which sets the dirty bit or runs
        into the hypervisor's write protection.
    bypass : Segment, optional
        Pages that need no TLB.
    """

    entry_size: str = "smaller"
    flush_on_switch: bool = False
    host_unmap: str = "page"
    dimensions: int = 2
    fused: bool = False
    dirty: str = "none"
    bypass: Segment | None = None


class Counters(NamedTuple):
    """Counts of one room, of one VM and epoch each.

    Attributes
    ----------
    names : tuple of str
    values : (vms, epochs, names) int64
        Epoch 0 is the warm-up; float64 where they are cycles.
    epochs : tuple of str
        Of each, what makes a run of its epochs (`memvirt.counters.OVER_EPOCHS`).
    """

    names: tuple[str, ...]
    values: NDArray[Any]
    epochs: tuple[str, ...]


class Tables(NamedTuple):
    """A radix page table of one dimension, one row for each lowest-level table that it can have.

    Attributes
    ----------
    row : (n,) uint32
        Row of each mapped thing: a global page (guest dimension) or a global guest frame (host dimension).
    frames : (rows, levels) uint32
        Frame of the table at each level, level 0 the one whose entries map 4 KiB; `NONE` where a larger
        page needs none, or none was ever needed. Guest tables hold global guest frames (hfn in one
        dimension), host tables hfn. The entry of level ``l`` has index ``(number >> 9 * l) & 511``.
    """

    row: NDArray[np.uint32]
    frames: NDArray[np.uint32]


class Space(NamedTuple):
    """The pages of all VMs, numbered globally.

    Attributes
    ----------
    page_base : (vms + 1,) int64
        First global page of each VM; page ``g`` of VM ``v`` is row ``g - page_base[v]`` of its `Pages`.
    vpn : (pages,) uint64
    asid : (pages,) uint16
        The `Pages` of all VMs, one after the other.
    guest_order, host_order : (pages,) uint8
        Order of the guest's page, and of the host's page behind it when first mapped (equal in one dimension).
    """

    page_base: NDArray[np.int64]
    vpn: NDArray[np.uint64]
    asid: NDArray[np.uint16]
    guest_order: NDArray[np.uint8]
    host_order: NDArray[np.uint8]


class Schedule(NamedTuple):
    """The merged order of all VMs' accesses.

    Attributes
    ----------
    runs : (r,) RUN
        ``runs.at`` starts at 0 and leaves no gap.
    accesses, epochs, cpus, vms : int
        Length of the merged order; epochs, the warm-up being epoch 0; physical CPUs in use, numbered
        in the order of their first run; VMs.
    """

    runs: NDArray[np.void]
    accesses: int
    epochs: int
    cpus: int
    vms: int


class Frames(NamedTuple):
    """Where pages and tables are, and how that changes.

    Attributes
    ----------
    guest_levels, host_levels, dimensions : int
        The host has no levels in one dimension.
    frame_base : (vms + 1,) int64
        First global guest frame of each VM; the gfn of global frame ``f`` is ``f - frame_base[v]``.
    guest, host : Tables
        As they stand at the end of the run: a table never moves and is never freed.
    frame_of_page : (pages,) uint32
        Global guest frame of each page before access 0, `NONE` if not mapped.
    hfn_of_frame : (frames,) uint32
        Host frame of each guest frame before access 0, `NONE` if not backed.
    order_of_frame : (frames,) uint8
        Order of the host page behind each guest frame before access 0.
    host_frames : int
        One past the last host frame in use, tables included.
    changes : (e,) EVENT
        Every event.
    """

    guest_levels: int
    host_levels: int
    dimensions: int
    frame_base: NDArray[np.int64]
    guest: Tables
    host: Tables
    frame_of_page: NDArray[np.uint32]
    hfn_of_frame: NDArray[np.uint32]
    order_of_frame: NDArray[np.uint8]
    host_frames: int
    changes: NDArray[np.void]


class Nodes(NamedTuple):
    """NUMA.

    Attributes
    ----------
    node_of_hfn : (host_frames,) uint8
        Of each host frame, tables included; `ON_EVERY` of a table that has a replica on each.
    node_of_cpu : (cpus,) uint8
    place_of_cpu : (cpus,) uint16
        Its number among its node's CPUs: neighbours share an LLC.
    nodes : int
    """

    node_of_hfn: NDArray[np.uint8]
    node_of_cpu: NDArray[np.uint8]
    place_of_cpu: NDArray[np.uint16]
    nodes: int


class Mapped(NamedTuple):
    """What of a `Machine` walks are simulated from: who runs when, and what is mapped where."""

    space: Space
    schedule: Schedule
    frames: Frames
    nodes: Nodes


class Machine(NamedTuple):
    """What the memory room hands on; each field has a digest of its own, and a later room reads only some.

    Attributes
    ----------
    space : Space
    schedule : Schedule
    shootdowns : (e,) EVENT
        The events of which the TLBs take notice (`EVENTS`); no frame is named in them.
    frames : Frames
    nodes : Nodes
    counters : Counters
    """

    space: Space
    schedule: Schedule
    shootdowns: NDArray[np.void]
    frames: Frames
    nodes: Nodes
    counters: Counters

    @property
    def mapped(self) -> Mapped:
        """What walks are simulated from."""
        return Mapped(self.space, self.schedule, self.frames, self.nodes)


class Walks(NamedTuple):
    """What the TLB room hands on.

    Attributes
    ----------
    offsets : list of arrays
        The accesses that missed every TLB: for each `CHUNK` of the merged order, offsets in it (`memvirt.tlb.misses.unpack`).
    counters : Counters
    """

    offsets: list[NDArray[np.uint32]]
    counters: Counters
