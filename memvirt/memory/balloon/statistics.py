"""Balloons by guests' statistics: a guest is to have what its programs use and a ``buffer`` on top, its page cache not counted.

Every ``every`` each guest tells how much it uses and how much of that is cache (virtio-balloon's statistics). While less than a
share ``short`` of the host is free, a guest that has more than it should gives the rest; one that has less gets it at any time.
Source: Hyper-V's Dynamic Memory, whose buffer is 20 % of the demand by default (Microsoft's documentation, recalled); that it takes
memory only where the host is short is as documented, from which share on isn't: MOM's 20 % is taken (`reclaim=linux`, which counts
cache as used).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner_apart
from memvirt.memory.balloon import adjust, press, relieve
from memvirt.memory.balloon._follow import Pump, follow, give_back, make_pump, press_guests, set_target
from memvirt.memory.options import a_period, a_share
from memvirt.memory.state import Now, World
from memvirt.typing import Int


class State(NamedTuple):
    """How fast balloons follow; time between looks and when the next is due (ns); the buffer; the share free of a short host."""

    pump: Pump
    every_ns: NDArray[np.float64]
    due_ns: NDArray[np.float64]
    buffer: NDArray[np.float64]
    short: NDArray[np.float64]


def make(vms: int, seed: int, cap: float, rate: float, period: object, every: object, buffer: object, short: object) -> State:
    """State of the policy."""
    return State(
        make_pump(cap, rate, period),
        np.array([a_period("reclaim.balloon.every", every)]),
        np.zeros(1),
        np.array([a_share("reclaim.balloon.buffer", buffer)]),
        np.array([a_share("reclaim.balloon.short", short)]),
    )


@inner_apart
def set_targets(state: State, world: World, now: Now) -> None:
    """Set what each balloon is to hold, by what its guest tells."""
    short = world.clock[0].free < state.short[0] * world.clock[0].total
    for vm in range(world.vms.size):
        guest = world.vms[vm]
        spare = np.float64(guest.limit) - np.float64(guest.used - guest.cached - guest.files) * (1.0 + state.buffer[0])
        if short or spare < guest.balloon_target:
            set_target(world, np.int64(vm), spare)
    state.due_ns[0] = now.time_ns + state.every_ns[0] / world.rules[0].speedup


@adjust.register
def _adjust(state: State, world: World, now: Now) -> float:
    if now.time_ns >= state.due_ns[0]:
        set_targets(state, world, now)
    return follow(state.pump, world, now)  # type: ignore[no-any-return]


@press.register
def _press(state: State, world: World, now: Now) -> bool:
    return press_guests(world, now)  # type: ignore[no-any-return]


@relieve.register
def _relieve(state: State, world: World, now: Now, vm: Int, pages: Int) -> bool:
    return give_back(world, now, vm, pages)  # type: ignore[no-any-return]
