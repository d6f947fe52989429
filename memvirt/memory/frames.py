"""The host's side: backing guest frames, and taking the frames back."""

from __future__ import annotations

import numpy as np

from memvirt.jit import inner, inner_apart
from memvirt.memory.log import count, log_event
from memvirt.memory.numbers import any_host_frame, free_host_frame, new_host_frame
from memvirt.memory.placement import choose_node
from memvirt.memory.reclaim import make_room
from memvirt.memory.replacement import insert, lingers, remove
from memvirt.memory.state import (
    HOST_MINOR_FAULTS,
    MAJOR_FAULTS,
    NOTHING,
    ONE,
    SMALL,
    SWAP_IN_PAGES,
    SWAP_OUT_PAGES,
    ZERO,
    Now,
    World,
)
from memvirt.types import Event

HOST_MAP, SWAP_IN, EVICT, DROP = map(np.int64, (Event.HOST_MAP, Event.SWAP_IN, Event.EVICT, Event.DROP))


@inner
def use_device(world: World, now: Now, pages: int) -> float:
    """Queue a transfer at the swap device; returns when it is through."""
    clock = world.clock[0]
    clock.device_ns = max(clock.device_ns, now.time_ns) + pages * world.rules[0].ns_per_page
    return clock.device_ns  # type: ignore[no-any-return]


@inner_apart
def evict(world: World, now: Now, unit: int) -> None:
    """Write a host page to swap if need be, drop its translations and free its frames.

    Only pages that were accessed since the host page came can be in a TLB or a shadow table, so only their
    translations are dropped; all, if the page is split, since their order changes.
    """
    head = world.frames[unit]
    order, owner = np.int64(head.order), np.int64(head.vm)
    size = 1 << order
    later = ZERO if world.rules[0].split and order > 0 else order
    dropped = 0
    for number in range(unit, unit + size):
        frame = world.frames[number]
        if frame.page != NOTHING and (frame.accessed or later != order):
            dropped += 1
    log_event(world, now, EVICT, NOTHING, unit, ZERO, dropped, order, owner)
    for number in range(unit, unit + size):
        frame = world.frames[number]
        if frame.page != NOTHING and (frame.accessed or later != order):
            log_event(world, now, DROP, np.int64(frame.page), ZERO, ZERO, ZERO, later, owner)
    remove(world.policies.replacement, unit)
    if head.dirty:
        count(world, owner, world.vms[owner].epoch, SWAP_OUT_PAGES, size)
        use_device(world, now, size)
    free_host_frame(world, np.int64(head.hfn), order)
    for number in range(unit, unit + size):
        frame = world.frames[number]
        frame.hfn = NOTHING
        frame.order = later
        frame.swapped = 1
        frame.dirty = 0
        frame.accessed = 0
    world.vms[owner].resident -= size


@inner_apart
def take_page(world: World, now: Now, node: int, order: int) -> int:
    """Take a data frame, reclaiming until there is one; -1 if reclaim gives up."""
    hfn = any_host_frame(world, node, order)
    while hfn < 0:
        resident = 0
        for vm in range(world.vms.size):
            resident += world.vms[vm].resident
        if resident == 0:
            return -1
        unit = make_room(world.policies.reclaim, world.policies.replacement, order)
        if unit < 0:
            return -1
        evict(world, now, int(unit))
        hfn = any_host_frame(world, node, order)
    return np.int64(hfn)


@inner_apart
def take_table(world: World, now: Now) -> int:
    """Take a frame for a page table, from beside the data frames unless tables are charged; -1 if none."""
    node = choose_node(world.policies.table_placement, now.node, world.nodes.size)
    if world.rules[0].charge_tables:
        return np.int64(take_page(world, now, node, SMALL))
    return np.int64(new_host_frame(world, node, SMALL))


@inner
def install(world: World, now: Now, unit: int, order: int, hfn: int, evictable: int) -> bool:
    """Put a host page behind guest frames; True if its contents are read from swap, for which the access then waits."""
    clock, head = world.clock[0], world.frames[unit]
    size = 1 << order
    for part in range(size):
        world.frames[unit + part].hfn = hfn + part
        world.frames[unit + part].accessed = clock.quiet  # a prefault leaves everything as if accessed
    head.dirty = 0 if head.swapped else 1
    reads = head.swapped and not lingers(world.policies.replacement, unit)
    if evictable:
        insert(world.policies.replacement, unit)
        world.vms[head.vm].resident += size
    if not reads:
        return False
    clock.awaited_ns = max(clock.awaited_ns, use_device(world, now, size) + world.rules[0].read_latency_ns)
    count(world, now.vm, now.epoch, MAJOR_FAULTS, ONE)
    count(world, now.vm, now.epoch, SWAP_IN_PAGES, size)
    return True


@inner
def host_frame_for(world: World, now: Now, frame: int, charged: int) -> int:
    """Take the host frame, or block of frames, that is to back a guest frame; -1 if none is to be had."""
    node = choose_node(world.policies.placement, now.node, world.nodes.size)
    order = np.int64(world.frames[frame].order)
    if not charged:
        return np.int64(new_host_frame(world, node, order))
    if order > 0 and world.rules[0].split:
        hfn = any_host_frame(world, node, order)
        if hfn >= 0:
            return np.int64(hfn)
        unit = frame >> order << order  # no block is free: small pages from now on, as Linux falls back
        for part in range(unit, unit + (1 << order)):
            world.frames[part].order = 0
        order = SMALL
    return np.int64(take_page(world, now, node, order))


@inner_apart
def back(world: World, now: Now, frame: int, page: int, holds_table: int) -> bool:
    """Back a guest frame (all of its host page): host tables first, root first, then the frame itself.

    ``page`` is the guest's page whose access found it missing, `NOTHING` if the guest's kernel did. False if
    there is no frame to be had.
    """
    new = 0
    for level in range(world.rules[0].host_levels - 1, np.int64(world.frames[frame].order) // 9 - 1, -1):
        table = world.host_tables[world.host_rows[frame >> 9, level]]
        if table.hfn == NOTHING:
            taken = take_table(world, now)
            if taken < 0:
                return False
            table.hfn = taken
            new += 1
    hfn = host_frame_for(world, now, frame, max(1 - holds_table, world.rules[0].charge_tables))
    if hfn < 0:
        return False
    order = np.int64(world.frames[frame].order)
    if order == 0 and world.rules[0].host_levels > 0:  # fell back to a small page: its lowest table
        table = world.host_tables[world.host_rows[frame >> 9, 0]]
        if table.hfn == NOTHING:
            taken = take_table(world, now)
            if taken < 0:
                return False
            table.hfn = taken
            new += 1
    unit = frame >> order << order
    from_swap = install(world, now, unit, order, hfn, 1 - holds_table)
    if not from_swap:
        count(world, now.vm, now.epoch, HOST_MINOR_FAULTS, ONE)
    log_event(world, now, SWAP_IN if from_swap else HOST_MAP, page, unit, hfn, new, order, now.vm)
    return True


@inner
def release(world: World, unit: int) -> None:
    """Take back the frames of a page that a process of the host unmapped, without a write."""
    head = world.frames[unit]
    order = np.int64(head.order)
    if head.hfn != NOTHING:
        remove(world.policies.replacement, unit)
        free_host_frame(world, np.int64(head.hfn), order)
        world.vms[head.vm].resident -= 1 << order
    for part in range(unit, unit + (1 << order)):
        frame = world.frames[part]
        frame.hfn = NOTHING
        frame.swapped = 0
        frame.dirty = 0
        frame.accessed = 0
