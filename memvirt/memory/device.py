"""The swap device: channels that work beside each other, and one bus that all data goes over.

A request waits for a free channel, then its data for the bus; a channel is busy until the request's latency is over. So a disk is
one channel with the latency of a seek, a flash drive many with that of a flash read; VMs that swap at once wait for each other.
"""

from __future__ import annotations

import numpy as np

from memvirt.jit import inner, inner_apart
from memvirt.memory.state import Now, World
from memvirt.typing import Int


@inner_apart
def transfer(world: World, now: Now, pages: Int, latency_ns: float) -> float:
    """Queue a transfer; returns when it is through (ns)."""
    clock, channels = world.clock[0], world.channels
    first = 0
    for number in range(channels.size):
        if channels[number] < channels[first]:
            first = number
        if channels[first] <= now.time_ns:
            break
    start = max(np.float64(channels[first]), now.time_ns)
    clock.bus_ns = max(np.float64(clock.bus_ns), start) + pages * world.rules[0].ns_per_page
    done = np.float64(clock.bus_ns) + latency_ns
    channels[first] = done
    return done


@inner
def later(world: World, now: Now) -> Now:
    """When the access that is being made has reclaimed what it had to, and goes on."""
    then = now.time_ns + np.float64(world.clock[0].reclaimed_ns)
    return Now(now.vm, now.cpu, now.label, now.node, now.asid, now.epoch, now.at, then)


@inner_apart
def read_pages(world: World, now: Now, pages: Int) -> float:
    """Queue a read; returns when the data is there (ns)."""
    return transfer(world, now, pages, np.float64(world.rules[0].read_latency_ns))


@inner_apart
def write_pages(world: World, now: Now, pages: Int) -> None:
    """Queue a write, which nobody waits for."""
    transfer(world, now, pages, np.float64(world.rules[0].write_latency_ns))


@inner_apart
def wait_until(world: World, time_ns: float) -> None:
    """Have the access that is being made wait."""
    world.clock[0].awaited_ns = max(np.float64(world.clock[0].awaited_ns), time_ns)
