"""What goes on beside the VMs (scanners, balloons, the host's policy, its scheduler), and what is the case at an epoch's end."""

from __future__ import annotations

import numpy as np

from memvirt.counters import Counter
from memvirt.jit import inner, inner_apart
from memvirt.memory.balloon import adjust
from memvirt.memory.measure import measure
from memvirt.memory.migration import scan_pages
from memvirt.memory.reclaim import balance
from memvirt.memory.scheduler import rebalance
from memvirt.memory.sharing import scan
from memvirt.memory.state import Now, World
from memvirt.memory.victims import watch_idle
from memvirt.typing import Int

COUNTERS = (
    Counter("resident_pages", "pages", doc="that the host backs", epochs="mean"),
    Counter("balloon_pages", "pages", doc="in the balloon", epochs="mean"),
    Counter("shared_pages", "pages", doc="guest frames behind which lies a host frame that others share", epochs="mean"),
    Counter("saved_pages", "pages", doc="those of them that need no host frame of their own", epochs="mean"),
    Counter("compressed_pages", "pages", doc="in the compressed cache", epochs="mean"),
    Counter("swapped_pages", "pages", doc="on host swap alone", epochs="mean"),
    Counter("active_estimate", "pages", doc="the host's estimate of active pages", epochs="mean"),
    Counter("host_free_pages", "pages", doc="the host's free frames", epochs="mean", vms="same"),
    Counter("host_pages", "pages", doc="frames for data that the host has", epochs="mean", vms="same"),
    Counter("host_pool_pages", "pages", doc="the host's frames that hold compressed pages", epochs="mean", vms="same"),
)


@inner
def next_background(world: World) -> float:
    """When background work is due next (ns)."""
    clock = world.clock[0]
    host = min(np.float64(clock.reclaim_due), np.float64(clock.watch_due), np.float64(clock.move_due), np.float64(clock.hint_due))
    return min(np.float64(clock.sharing_due), np.float64(clock.balloon_due), host)


@inner_apart
def background(world: World, now: Now) -> None:
    """Do a step of what is due first; more than its log can hold waits until it was taken away."""
    clock = world.clock[0]
    due = next_background(world)
    clock.reclaimed_ns = 0.0
    then = Now(now.vm, now.cpu, now.label, now.node, now.asid, now.epoch, now.at, due)
    if clock.watch_due == due:
        clock.watch_due = watch_idle(world, then)
    elif clock.move_due == due:
        clock.move_due = rebalance(world.policies.scheduler, world, then)
    elif clock.hint_due == due:
        clock.hint_due = scan_pages(world.policies.migration, world, then)
    elif clock.reclaim_due == due:
        clock.reclaim_due = balance(world.policies.reclaim, world, then)
    elif clock.balloon_due == due:
        clock.balloon_due = adjust(world.policies.balloon, world, then)
    else:
        clock.sharing_due = scan(world.policies.sharing, world, then)


@inner_apart
def record_gauges(world: World, vm: Int, epoch: Int) -> None:
    """Write down what is the case, as the end of an epoch so far."""
    guest, clock, counts = world.vms[vm], world.clock[0], world.counts[vm, epoch]
    counts.resident_pages = guest.resident
    counts.balloon_pages = guest.ballooned
    counts.cache_pages = guest.files + guest.cached
    counts.shared_pages = guest.shared
    counts.saved_pages = guest.saved
    counts.compressed_pages = guest.compressed
    counts.swapped_pages = guest.swapped
    counts.active_estimate = np.int64(guest.active)
    counts.host_free_pages = clock.free
    counts.host_pages = clock.total
    counts.host_pool_pages = clock.pool
    measure(world.policies.reclaim, counts)
    measure(world.policies.replacement, counts)
    measure(world.policies.sharing, counts)
    measure(world.policies.balloon, counts)
    measure(world.policies.compression, counts)


@inner_apart
def fill_gauges(world: World, vm: Int, epoch: Int) -> None:
    """Write down what is the case at the end of an epoch in which a VM slept."""
    if world.rules[0].tracked:
        record_gauges(world, vm, epoch)
