"""The balloon driver of a guest: it pins pages that the host then takes back (Waldspurger, OSDI'02, section 3).

The host's policy sets `VM.balloon_target`; each guest's driver follows it at ``rate`` pages a second, down as up, a step every
``period``, and never holds more than ``cap`` of the guest's memory (65 % in ESX). Where the host has no frame left at all it
presses the guest that `reclaim.victims` names at once, for a batch of pages. ``deflate_on_oom`` is virtio-balloon's option: a guest
that is out of memory takes pages back (see `memvirt.memory.give.make_guest_room`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import ConfigError
from memvirt.memory.balloon import adjust, press, relieve
from memvirt.memory.inflate import deflate, inflate
from memvirt.memory.log import has_room
from memvirt.memory.options import a_part, a_period, above_zero
from memvirt.memory.state import Now, World
from memvirt.memory.victims import ease, first_pressed
from memvirt.typing import Int

BATCH = 32  #: host frames that pressing asks for at a time, as Linux reclaims (SWAP_CLUSTER_MAX); fewer of a host below 128 MiB
PART = 1024  #: which is asked for this part of its frames


class State(NamedTuple):
    """Of the driver.

    Attributes
    ----------
    rate, period_ns : (1,) float64
        Pages a second of background time; time between steps.
    owed : (1,) float64
        What is left of a page that the next step moves on with.
    deflates : (1,) int64
        Whether a guest out of memory takes pages back.
    """

    rate: NDArray[np.float64]
    period_ns: NDArray[np.float64]
    owed: NDArray[np.float64]
    deflates: NDArray[np.int64]


def make(vms: int, seed: int, cap: float, rate: float, period: object, deflate_on_oom: bool) -> State:
    """State of the driver."""
    a_part("reclaim.balloon.cap", cap, "the guest's memory")
    if not isinstance(deflate_on_oom, bool):
        raise ConfigError("reclaim.balloon.deflate_on_oom", str(deflate_on_oom), "must be true or false")
    pages, every = above_zero("reclaim.balloon.rate", rate), a_period("reclaim.balloon.period", period)
    return State(np.array([pages]), np.array([every]), np.zeros(1), np.array([int(deflate_on_oom)]))


@adjust.register
def _adjust(state: State, world: World, now: Now) -> float:
    state.owed[0] += max(np.int64(1), np.int64(state.rate[0] * state.period_ns[0] / 1e9)) / world.rules[0].scale
    step = np.int64(state.owed[0])
    state.owed[0] -= step
    for vm in range(world.vms.size):
        guest = world.vms[vm]
        if guest.ballooned > guest.balloon_target:
            deflate(world, now, vm, min(step, np.int64(guest.ballooned - guest.balloon_target)))
        moved = 0
        while moved < step and guest.ballooned < guest.balloon_target and has_room(world):
            if inflate(world, now, vm) < 0:
                break
            moved += 1
    return now.time_ns + state.period_ns[0] / world.rules[0].speedup  # type: ignore[no-any-return]


@press.register
def _press(state: State, world: World, now: Now) -> bool:
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


@relieve.register
def _relieve(state: State, world: World, now: Now, vm: Int, pages: Int) -> bool:
    guest = world.vms[vm]
    if not state.deflates[0] or guest.ballooned == 0:
        return False
    deflate(world, now, vm, pages)
    guest.balloon_target = min(np.int64(guest.balloon_target), np.int64(guest.ballooned))
    return True
