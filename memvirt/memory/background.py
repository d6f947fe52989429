"""What goes on beside the VMs: scanners, balloons, the host's own policy; and what is the case at the end of an epoch."""

from __future__ import annotations

import numpy as np

from memvirt.jit import inner, inner_apart
from memvirt.memory.balloon import adjust
from memvirt.memory.counters import (
    ACTIVE_ESTIMATE,
    BALLOON_PAGES,
    COMPRESSED_PAGES,
    HOST_FREE_PAGES,
    HOST_PAGES,
    HOST_POOL_PAGES,
    RESIDENT_PAGES,
    SAVED_PAGES,
    SHARED_PAGES,
    SWAPPED_PAGES,
)
from memvirt.memory.reclaim import balance
from memvirt.memory.sharing import measure, scan
from memvirt.memory.state import Now, World


@inner
def next_background(world: World) -> float:
    """When background work is due next (ns)."""
    clock = world.clock[0]
    return min(np.float64(clock.sharing_due), np.float64(clock.balloon_due), np.float64(clock.reclaim_due))


@inner_apart
def background(world: World, now: Now) -> None:
    """Do a step of what is due first; more than its log can hold waits until it was taken away."""
    clock = world.clock[0]
    due = next_background(world)
    then = Now(now.vm, now.cpu, now.label, now.node, now.asid, now.epoch, now.at, due)
    if clock.reclaim_due == due:
        clock.reclaim_due = balance(world.policies.reclaim, world, then)
    elif clock.balloon_due == due:
        clock.balloon_due = adjust(world.policies.balloon, world, then)
    else:
        clock.sharing_due = scan(world.policies.sharing, world, then)


@inner_apart
def record_gauges(world: World, vm: int, epoch: int) -> None:
    """Write down what is the case, as the end of an epoch so far."""
    guest, clock, counts = world.vms[vm], world.clock[0], world.counts[vm, epoch]
    counts[RESIDENT_PAGES] = guest.resident
    counts[BALLOON_PAGES] = guest.ballooned
    counts[SHARED_PAGES] = guest.shared
    counts[SAVED_PAGES] = guest.saved
    counts[COMPRESSED_PAGES] = guest.compressed
    counts[SWAPPED_PAGES] = guest.swapped
    counts[ACTIVE_ESTIMATE] = np.int64(guest.active)
    counts[HOST_FREE_PAGES] = clock.free
    counts[HOST_PAGES] = clock.total
    counts[HOST_POOL_PAGES] = clock.pool
    measure(world.policies.sharing, counts)


@inner_apart
def fill_gauges(world: World, vm: int, epoch: int) -> None:
    """Write down what is the case at the end of an epoch in which a VM slept."""
    if world.rules[0].tracked:
        record_gauges(world, vm, epoch)
