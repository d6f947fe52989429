"""No order is kept: for pages that nobody takes away."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.memory.replacement import insert, remove, touch, victim, victim_of


class Untracked(NamedTuple):
    """Nothing to remember."""

    unused: NDArray[np.int64]


def make() -> Untracked:
    """State of no policy."""
    return Untracked(np.zeros(1, np.int64))


@insert.register
@touch.register
@remove.register
def _ignore(state: Untracked, item: int) -> None:
    pass


@victim.register
def _victim(state: Untracked) -> int:
    return -1


@victim_of.register
def _victim_of(state: Untracked, group: int) -> int:
    return -1
