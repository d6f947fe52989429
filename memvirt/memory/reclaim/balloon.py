"""Ballooning alone: guests give pages back when the host has no frame left; with ``swap`` the host swaps where they give none."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.memory.balloon import press
from memvirt.memory.evict import swap_some
from memvirt.memory.reclaim import make_room
from memvirt.memory.state import Now, World


class State(NamedTuple):
    """Whether the host may swap."""

    swap: NDArray[np.int64]


def make(vms: int, seed: int, swap: bool) -> State:
    """State of the policy."""
    return State(np.array([int(swap)]))


@make_room.register
def _make_room(state: State, world: World, now: Now, order: int) -> bool:
    if press(world.policies.balloon, world, now):
        return True
    return state.swap[0] and swap_some(world, now)  # type: ignore[no-any-return]
