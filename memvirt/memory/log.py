"""Writing runs and events: what kernels of the memory room leave behind."""

from __future__ import annotations

import numpy as np

from memvirt.counters import Counter
from memvirt.jit import inner, kernel
from memvirt.memory.state import NOTHING, OF_GUEST, OF_HOST, ZERO, Now, World
from memvirt.types import (
    COW_FAULT,
    DROP,
    EVICT,
    FLUSH,
    GUEST_MAP,
    GUEST_UNMAP,
    HINT,
    MOVE,
    PREEMPT,
    REMAP,
    SHOOTDOWNS,
    SWITCH,
    TABLE_WRITE,
    EventRecord,
)
from memvirt.typing import Int, Records

COUNTERS = (
    Counter("replica_maps", "entries", doc="of replicas of page tables, that map something or point to a new table"),
    Counter("replica_unmaps", "entries", doc="of replicas of page tables, that map something no more"),
    Counter("replica_protects", "entries", doc="of replicas of page tables, that are rewritten"),
)
STEP = 4096  #: events that one page given up, merged or split can write at the most


@inner
def log_event(world: World, now: Now, kind: Int, page: Int, frame: Int, hfn: Int, count: Int, order: Int, vm: Int) -> None:
    """Append an event, unless the machine is still being prepared; for the functions below, which name what each kind says."""
    clock = world.clock[0]
    if clock.quiet:
        return
    event = world.events[clock.events]
    event.at = now.at
    event.page = page
    event.frame = frame
    event.hfn = hfn
    event.count = count
    event.epoch = now.epoch
    event.vm = vm
    event.asid = now.asid
    event.cpu = now.label
    event.kind = kind
    event.order = order
    clock.events += 1


@inner
def log_guest_map(world: World, now: Now, page: Int, frame: Int, hfn: Int, tables: Int, order: Int) -> None:
    """The guest maps a page at a frame, with so many new tables; in one dimension, behind it is a host frame."""
    world.counts[now.vm, now.epoch].replica_maps += world.table_nodes[OF_GUEST].copies * (1 + tables)
    log_event(world, now, GUEST_MAP, page, frame, hfn, tables, order, now.vm)


@inner
def log_backing(world: World, now: Now, kind: Int, page: Int, unit: Int, hfn: Int, tables: Int, order: Int) -> None:
    """The host backs a page of its own (`HOST_MAP`, `SWAP_IN`), with so many new tables, for the access to a guest's page."""
    world.counts[now.vm, now.epoch].replica_maps += world.table_nodes[OF_HOST].copies * (1 + tables)
    log_event(world, now, kind, page, unit, hfn, tables, order, now.vm)


@inner
def log_evict(world: World, now: Now, unit: Int, drops: Int, order: Int, vm: Int) -> None:
    """The host takes what is behind a VM's frames away; so many DROPs follow."""
    world.counts[vm, world.vms[vm].epoch].replica_unmaps += world.table_nodes[OF_HOST].copies
    log_event(world, now, EVICT, NOTHING, unit, ZERO, drops, order, vm)


@inner
def log_drop(world: World, now: Now, page: Int, order: Int, vm: Int) -> None:
    """A VM's page has no translation any more; its host page is of this order from now on."""
    log_event(world, now, DROP, page, ZERO, ZERO, ZERO, order, vm)


@inner
def log_remap(world: World, now: Now, frame: Int, hfn: Int, vm: Int) -> None:
    """The host puts a small host page behind a VM's frame of its own accord."""
    world.counts[vm, world.vms[vm].epoch].replica_maps += world.table_nodes[OF_HOST].copies
    log_event(world, now, REMAP, NOTHING, frame, hfn, ZERO, ZERO, vm)


@inner
def log_moved(world: World, now: Now, unit: Int, hfn: Int, order: Int, vm: Int) -> None:
    """What is behind a VM's frames is on another node now; who moved it has written the entry already."""
    log_event(world, now, REMAP, NOTHING, unit, hfn, ZERO, order, vm)


@inner
def log_hint(world: World, now: Now, drops: Int) -> None:
    """The host makes memory of the VM inaccessible, to learn of the next access to each page; so many DROPs follow."""
    log_event(world, now, HINT, NOTHING, ZERO, ZERO, drops, ZERO, now.vm)


@inner
def log_guest_unmap(world: World, now: Now, page: Int, frame: Int, drops: Int, order: Int, vm: Int) -> None:
    """A guest unmaps a page of this order from its frame; so many DROPs follow."""
    world.counts[vm, world.vms[vm].epoch].replica_unmaps += world.table_nodes[OF_GUEST].copies
    log_event(world, now, GUEST_UNMAP, page, frame, ZERO, drops, order, vm)


@inner
def log_table_write(world: World, now: Now, page: Int, frame: Int, drops: Int, order: Int) -> None:
    """The guest rewrites the entry of a page of this order; so many DROPs follow, or none since a flush will."""
    world.counts[now.vm, now.epoch].replica_protects += world.table_nodes[OF_GUEST].copies
    log_event(world, now, TABLE_WRITE, page, frame, ZERO, drops, order, now.vm)


@inner
def log_cow_fault(world: World, now: Now, page: Int, frame: Int, order: Int) -> None:
    """A write finds a page of this order read-only."""
    log_event(world, now, COW_FAULT, page, frame, ZERO, ZERO, order, now.vm)


@inner
def log_switch(world: World, now: Now, asid: Int) -> None:
    """The VM loads an address space."""
    then = Now(now.vm, now.cpu, now.label, now.node, asid, now.epoch, now.at, now.time_ns)
    log_event(world, then, SWITCH, NOTHING, ZERO, ZERO, ZERO, ZERO, now.vm)


@inner
def log_flush(world: World, now: Now, asid: Int) -> None:
    """The guest flushes an address space, or all of them."""
    then = Now(now.vm, now.cpu, now.label, now.node, asid, now.epoch, now.at, now.time_ns)
    log_event(world, then, FLUSH, NOTHING, ZERO, ZERO, ZERO, ZERO, now.vm)


@inner
def log_preempt(world: World, now: Now) -> None:
    """The CPU goes over to another VM."""
    log_event(world, now, PREEMPT, NOTHING, ZERO, ZERO, ZERO, ZERO, now.vm)


@inner
def log_move(world: World, now: Now, others: Int) -> None:
    """A vCPU goes on on this CPU, after another one; the VM's other vCPUs are on so many CPUs besides."""
    log_event(world, now, MOVE, NOTHING, ZERO, ZERO, others, ZERO, now.vm)


@kernel
def take_shootdowns(events: Records[EventRecord], chosen: Records[EventRecord]) -> Int:
    """Copy the events that concern TLBs, without what these don't read; returns their number."""
    found = 0
    for number in range(events.size):
        if SHOOTDOWNS >> np.int64(events[number].kind) & 1:
            chosen[found] = events[number]
            chosen[found].hfn = 0
            chosen[found].frame = 0
            found += 1
    return found


@inner
def has_room(world: World) -> bool:
    """Whether the log still holds the events of another page given up, merged or split."""
    return world.clock[0].events + STEP <= world.events.size  # type: ignore[return-value]


@inner
def log_run(world: World, now: Now, start: Int, length: Int) -> None:
    """Append a run, or lengthen the last one where it goes on."""
    number = world.clock[0].runs
    if number > 0:
        last = world.runs[number - 1]
        same = last.vm == now.vm and last.cpu == now.label and last.asid == now.asid and last.epoch == now.epoch
        if same and last.start + last.length == start and last.length + length < 0x7FFFFFFF:
            last.length += length
            return
    run = world.runs[number]
    run.at = now.at
    run.start = start
    run.length = length
    run.epoch = now.epoch
    run.vm = now.vm
    run.cpu = now.label
    run.asid = now.asid
    world.clock[0].runs = number + 1
