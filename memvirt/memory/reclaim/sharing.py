"""Page sharing alone: `reclaim.sharing` scans in the background, and host swap takes what is missing in spite of it, if it may."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.config import Section
from memvirt.memory.evict import swap_some
from memvirt.memory.reclaim import make_room
from memvirt.memory.state import Now, World
from memvirt.typing import Int


class State(NamedTuple):
    """Whether it may swap."""

    swap: NDArray[np.bool_]


class Options(Section):
    """Options of the policy."""

    swap: bool = True
    """Whether what is missing in spite of sharing goes to host swap, or ends the run."""


def make(vms: int, seed: int, **options: Any) -> State:
    """State of the policy."""
    return State(np.array([Options(**options).swap]))


@make_room.register
def _make_room(state: State, world: World, now: Now, order: Int) -> bool:
    return state.swap[0] and swap_some(world, now)  # type: ignore[no-any-return]
