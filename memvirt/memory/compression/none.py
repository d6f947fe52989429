"""No compression: what goes, goes to swap."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.memory.compression import drop, load, store
from memvirt.memory.state import Now, World
from memvirt.typing import Int


class State(NamedTuple):
    """Nothing to remember."""

    unused: NDArray[np.int64]


def make(owner: NDArray[np.int64], vms: int) -> State:
    """State of the cache."""
    return State(np.zeros(1, np.int64))


@store.register
def _store(state: State, world: World, now: Now, frame: Int) -> bool:
    return False


@load.register
def _load(state: State, world: World, now: Now, frame: Int) -> None:
    pass


@drop.register
def _drop(state: State, world: World, now: Now, frame: Int) -> None:
    pass
