"""Host swap: the page that `reclaim.replacement` names goes to the swap device."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.memory.reclaim import make_room
from memvirt.memory.replacement import victim


class State(NamedTuple):
    """Nothing to remember."""

    unused: NDArray[np.int64]


def make() -> State:
    """State of the mechanism."""
    return State(np.zeros(1, np.int64))


@make_room.register
def _make_room(state: State, replacement: Any, order: int) -> int:
    return victim(replacement)  # type: ignore[no-any-return]
