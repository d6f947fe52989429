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
from memvirt.memory.balloon._follow import Pump, follow, give_back, make_pump, press_guests
from memvirt.memory.state import Now, World
from memvirt.typing import Int


class State(NamedTuple):
    """How fast it follows; whether a guest out of memory takes pages back (1 or 0)."""

    pump: Pump
    deflates: NDArray[np.int64]


def make(vms: int, seed: int, cap: float, rate: float, period: object, deflate_on_oom: bool) -> State:
    """State of the driver."""
    if not isinstance(deflate_on_oom, bool):
        raise ConfigError("reclaim.balloon.deflate_on_oom", str(deflate_on_oom), "must be true or false")
    return State(make_pump(cap, rate, period), np.array([int(deflate_on_oom)]))


@adjust.register
def _adjust(state: State, world: World, now: Now) -> float:
    return follow(state.pump, world, now)  # type: ignore[no-any-return]


@press.register
def _press(state: State, world: World, now: Now) -> bool:
    return press_guests(world, now)  # type: ignore[no-any-return]


@relieve.register
def _relieve(state: State, world: World, now: Now, vm: Int, pages: Int) -> bool:
    return state.deflates[0] and give_back(world, now, vm, pages)  # type: ignore[no-any-return]
