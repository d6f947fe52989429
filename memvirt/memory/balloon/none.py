"""No balloon: what a guest once touched is its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.memory.balloon import adjust, press
from memvirt.memory.state import Now, World


class State(NamedTuple):
    """Nothing to remember."""

    unused: NDArray[np.int64]


def make(vms: int, seed: int) -> State:
    """State of the driver."""
    return State(np.zeros(1, np.int64))


@adjust.register
def _adjust(state: State, world: World, now: Now) -> float:
    return np.inf


@press.register
def _press(state: State, world: World, now: Now) -> bool:
    return False
