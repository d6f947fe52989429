"""No sharing: each guest frame has a host frame of its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.memory.sharing import scan
from memvirt.memory.state import Now, World


class State(NamedTuple):
    """Nothing to remember."""

    unused: NDArray[np.int64]


def make(frames: int, host_frames: int, seed: int) -> State:
    """State of the scanner."""
    return State(np.zeros(1, np.int64))


@scan.register
def _scan(state: State, world: World, now: Now) -> float:
    return np.inf
