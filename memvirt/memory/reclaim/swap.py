"""Host swap: the page that `reclaim.replacement` names goes to the swap device.

Where some VM has a limit of its own, and so each its own list, it is the page of the VM that has most host frames for its shares.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.memory.evict import swap_some
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
    return swap_some(world, now)  # type: ignore[no-any-return]
