"""Ballooning alone: guests give pages back when the host has no frame left; with ``swap`` the host swaps where they give none.

What the host has free above a share ``reserve`` of its memory goes back to the guests every ``period``, to each by what its balloon
holds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.config import parse_time_ns
from memvirt.errors import ConfigError
from memvirt.memory.balloon import press
from memvirt.memory.evict import swap_some
from memvirt.memory.reclaim import balance, make_room
from memvirt.memory.state import Now, World
from memvirt.typing import Int

PRESSES = True  #: balloons, when the host has no frame left


class State(NamedTuple):
    """Whether the host may swap; the share of its memory that it keeps free before balloons shrink; the time between looks (ns)."""

    swap: NDArray[np.int64]
    reserve: NDArray[np.float64]
    period_ns: NDArray[np.float64]


def make(vms: int, seed: int, swap: bool, reserve: float, period: object) -> State:
    """State of the policy."""
    if not 0 <= reserve < 1:
        raise ConfigError("reclaim.reserve", reserve, "is a share of the host's memory, from 0 to below 1")
    return State(np.array([int(swap)]), np.array([reserve]), np.array([parse_time_ns(period)]))


@make_room.register
def _make_room(state: State, world: World, now: Now, order: Int) -> bool:
    if press(world.policies.balloon, world, now):
        return True
    return state.swap[0] and swap_some(world, now)  # type: ignore[no-any-return]


@balance.register
def _balance(state: State, world: World, now: Now) -> float:
    clock = world.clock[0]
    held = np.int64(0)
    for vm in range(world.vms.size):
        held += world.vms[vm].ballooned
    spare = min(np.int64(clock.free - state.reserve[0] * clock.total), held)
    for vm in range(world.vms.size if spare > 0 else 0):
        guest = world.vms[vm]
        guest.balloon_target = np.int64(guest.ballooned) - spare * np.int64(guest.ballooned) // held
    return now.time_ns + state.period_ns[0] / world.rules[0].speedup  # type: ignore[no-any-return]
