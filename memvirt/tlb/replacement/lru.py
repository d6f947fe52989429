"""Least recently used, exact."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.tlb.replacement import drop, fill, touch, victim
from memvirt.typing import Int


class State(NamedTuple):
    """When each slot was last used, in a count of uses."""

    used: NDArray[np.int64]
    uses: NDArray[np.int64]


def make(slots: int, ways: list[int], seed: int) -> State:
    """State for ``slots`` slots of arrays with these numbers of ways."""
    return State(np.zeros(slots, np.int64), np.zeros(1, np.int64))


@touch.register
def _touch(state: State, start: Int, ways: Int, way: Int) -> None:
    state.uses[0] += 1
    state.used[np.uint64(start + way)] = state.uses[0]


@fill.register
def _fill(state: State, start: Int, ways: Int, way: Int) -> None:
    state.uses[0] += 1
    state.used[np.uint64(start + way)] = state.uses[0]


@victim.register
def _victim(state: State, start: Int, ways: Int) -> Int:
    chosen, oldest = 0, state.used[start]
    for way in range(1, ways):
        used = state.used[np.uint64(start + way)]
        if used < oldest:
            chosen, oldest = way, used
    return chosen


@drop.register
def _drop(state: State, start: Int, ways: Int, way: Int) -> None:
    pass
