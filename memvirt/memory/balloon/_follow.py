"""What drivers of balloons have in common: they follow a target at some speed, and are pressed when the host has nothing left."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner, inner_apart
from memvirt.memory.inflate import deflate, inflate
from memvirt.memory.log import has_room
from memvirt.memory.options import a_part, a_period, above_zero
from memvirt.memory.state import Now, World
from memvirt.memory.victims import ease, first_pressed
from memvirt.typing import Int

BATCH = 32  #: host frames that pressing asks for at a time, as Linux reclaims (SWAP_CLUSTER_MAX); fewer of a host below 128 MiB
PART = 1024  #: which is asked for this part of its frames


class Pump(NamedTuple):
    """How fast balloons follow their targets.

    Attributes
    ----------
    rate, period_ns : (1,) float64
        Pages a second of background time; time between steps.
    owed : (1,) float64
        What is left of a page that the next step moves on with.
    """

    rate: NDArray[np.float64]
    period_ns: NDArray[np.float64]
    owed: NDArray[np.float64]


def make_pump(cap: object, rate: object, period: object) -> Pump:
    """A pump, from the options of ``reclaim.balloon``; the cap is checked alone.

    Raises
    ------
    ConfigError
    """
    a_part("reclaim.balloon.cap", cap, "the guest's memory")
    pages, every = above_zero("reclaim.balloon.rate", rate), a_period("reclaim.balloon.period", period)
    return Pump(np.array([pages]), np.array([every]), np.zeros(1))


@inner_apart
def follow(pump: Pump, world: World, now: Now) -> float:
    """Move each guest's balloon a step towards its target; returns when the next step is due (ns)."""
    pump.owed[0] += max(np.int64(1), np.int64(pump.rate[0] * pump.period_ns[0] / 1e9)) / world.rules[0].scale
    step = np.int64(pump.owed[0])
    pump.owed[0] -= step
    for vm in range(world.vms.size):
        guest = world.vms[vm]
        if guest.ballooned > guest.balloon_target:
            deflate(world, now, vm, min(step, np.int64(guest.ballooned - guest.balloon_target)))
        moved = 0
        while moved < step and guest.ballooned < guest.balloon_target and has_room(world):
            if inflate(world, now, vm) < 0:
                break
            moved += 1
    return now.time_ns + pump.period_ns[0] / world.rules[0].speedup  # type: ignore[no-any-return]


@inner
def set_target(world: World, vm: Int, pages: float) -> None:
    """Have a guest's balloon come to hold so many pages: no more than it may, and none of what the guest is never asked for."""
    guest = world.vms[vm]
    most = min(np.int64(guest.balloon_most), np.int64(guest.limit - guest.least))
    guest.balloon_target = max(min(np.int64(pages), most), np.int64(0))


@inner_apart
def press_guests(world: World, now: Now) -> bool:
    """Have the guest that `reclaim.victims` names give a batch of pages at once; False if none gives any."""
    tried = np.int64(0)
    while tried < world.vms.size:
        chosen = first_pressed(world, now.at)
        if chosen < 0:
            break
        found = ease(world, chosen)
        freed, wanted = np.int64(0), min(np.int64(BATCH), max(np.int64(1), np.int64(world.clock[0].total) // PART))
        given = np.int64(0)
        while freed < wanted and ease(world, chosen) <= found and has_room(world):
            given = np.int64(inflate(world, now, chosen))
            if given < 0:
                break
            freed += given
        world.vms[chosen].balloon_target = max(np.int64(world.vms[chosen].balloon_target), np.int64(world.vms[chosen].ballooned))
        if freed > 0:
            return True
        if given < 0 or ease(world, chosen) <= found:  # else it has nothing as cheap any more, and another may
            world.vms[chosen].pressed = now.at + 1
            tried += 1
    return False


@inner_apart
def give_back(world: World, now: Now, vm: Int, pages: Int) -> bool:
    """Give a guest that is out of memory pages of its balloon back; False if that is empty."""
    guest = world.vms[vm]
    if guest.ballooned == 0:
        return False
    deflate(world, now, vm, pages)
    guest.balloon_target = min(np.int64(guest.balloon_target), np.int64(guest.ballooned))
    return True
