"""The state of the host loop as kernels see it: a handful of tables of records, nothing as long as a trace.

Each table has one row for each thing of its kind (`memvirt.memory.records`), so that a kernel takes one `World` of few arrays.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.by_address import by_address
from memvirt.memory.records import Actor, Bump, Clock, Cpu, Frame, HostFrame, Node, OwnEvent, Page, Rules, Table, TableNodes, Vm
from memvirt.types import EventRecord, RunRecord
from memvirt.typing import Int, Records

#: No page, no frame, no table: `memvirt.types.NONE` as the signed numbers of this room have it.
NOTHING = np.int64(-1)

# Arguments of kernels that would otherwise be literals, for each of which numba compiles the callee again.
ZERO, ONE, SMALL, DATA_AREA, BLOCK = np.int64(0), np.int64(1), np.int64(0), np.int64(0), np.int64(512)
FOR_DATA, FOR_TABLE = np.int64(0), np.int64(1)
EVERY_NODE = np.int64(-1)  #: NUMA nodes as bits, all of them

# Why the loop came back to Python.
OK = -1
DONE, REFILL, LOG_FULL, MORE_EPOCHS, GUEST_FULL, HOST_FULL = range(6)

# Whose tables: a process's or a guest's, the host's behind a VM.
OF_GUEST, OF_HOST = np.int64(0), np.int64(1)
# Where they go: a node's number, or one of these (`memvirt.memory.numa.TABLES`).
AS_DATA, LOCAL, INTERLEAVE, REPLICATED = map(np.int64, (-1, -2, -3, -4))

# What a guest frame is used for.
FREE, DATA, CACHE, BALLOON, TABLE_FRAME, KERNEL = map(np.int64, range(6))


@by_address
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

    vm: Int
    cpu: Int
    label: Int
    node: Int
    asid: Int
    epoch: Int
    at: Int
    time_ns: float


@by_address
class Policies(NamedTuple):
    """One state of each family.

    ``guest`` is the page replacement of the guests' own kernels, over global pages, ``victims`` the rule of whose page goes.
    """

    replacement: Any
    placement: Any
    scheduler: Any
    reclaim: Any
    sharing: Any
    balloon: Any
    compression: Any
    migration: Any
    guest: Any
    victims: Any


@by_address
class World(NamedTuple):
    """Everything, so that a kernel takes one argument.

    Attributes
    ----------
    pages, frames, host_frames, vms, actors, cpus, nodes, bumps : records
        As `memvirt.memory.records` has them.
    guest_rows, host_rows : (rows, levels) uint32
        Number of the table at each level, for each lowest-level table of all guests, and of the host.
    guest_tables, host_tables : (tables,) Table
    table_nodes : (2,) TableNodes
        Where the guests' tables go, and the host's.
    fallback : (nodes, nodes) int64
        For each node, the order in which its pages try the nodes.
    touched : (actors, nodes) int64
        Accesses of each vCPU to each node's memory of late, where the scheduler must know.
    own_events : (e,) OwnEvent
        Those of each actor together.
    channels : (channels,) float64
        When each channel of the swap device is free (ns).
    due : (2 x leaves,) float64
        When each CPU can go on (ns), as a tournament (`memvirt.memory.turns`).
    clock, rules : (1,) Clock, Rules
    runs, events : (capacity,) RUN, EVENT
        The log, taken away when nearly full.
    counts : (vms, epochs) records of the counters in use (`memvirt.counters`)
    """

    pages: Records[Page]
    frames: Records[Frame]
    host_frames: Records[HostFrame]
    vms: Records[Vm]
    actors: Records[Actor]
    cpus: Records[Cpu]
    nodes: Records[Node]
    bumps: Records[Bump]
    guest_rows: NDArray[np.uint32]
    host_rows: NDArray[np.uint32]
    guest_tables: Records[Table]
    host_tables: Records[Table]
    table_nodes: Records[TableNodes]
    fallback: NDArray[np.int64]
    touched: NDArray[np.int64]
    window: Window
    own_events: Records[OwnEvent]
    channels: NDArray[np.float64]
    due: NDArray[np.float64]
    clock: Records[Clock]
    rules: Records[Rules]
    runs: Records[RunRecord]
    events: Records[EventRecord]
    counts: Records[Any]
    policies: Policies
