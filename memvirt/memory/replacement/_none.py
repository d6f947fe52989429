"""No order is kept: for pages that nobody takes away."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.memory.replacement import insert, remove, touch, victim, victim_of
from memvirt.typing import Int


class Untracked(NamedTuple):
    """Nothing to remember."""

    unused: NDArray[np.int64]


def make() -> Untracked:
    """State of no policy."""
    return Untracked(np.zeros(1, np.int64))


@insert.register
@touch.register
@remove.register
def _ignore(state: Untracked, item: Int) -> None:
    pass


@victim.register
def _victim(state: Untracked) -> Int:
    return -1


@victim_of.register
def _victim_of(state: Untracked, group: Int) -> Int:
    return -1
