"""No reclaim: the run ends when the host is full."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.memory.reclaim import make_room
from memvirt.memory.state import Now, World
from memvirt.typing import Int


class State(NamedTuple):
    """Nothing to remember."""

    unused: NDArray[np.int64]


def make(vms: int, seed: int) -> State:
    """State of the policy."""
    return State(np.zeros(1, np.int64))


@make_room.register
def _make_room(state: State, world: World, now: Now, order: Int) -> bool:
    return False
