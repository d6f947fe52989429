"""Tree-PLRU: a binary tree of bits over the ways, each pointing away from the half that was used last.

With ways that are no power of two the lower half of a node is the larger by one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.tlb.replacement import drop, fill, touch, victim
from memvirt.typing import Int


class State(NamedTuple):
    """Bit ``start + m`` is the node whose upper half begins at way ``m``: 1 says that the victim is there."""

    upper: NDArray[np.uint8]


def make(slots: int, ways: list[int], seed: int) -> State:
    """State for ``slots`` slots of arrays with these numbers of ways."""
    return State(np.zeros(slots, np.uint8))


@touch.register
def _touch(state: State, start: Int, ways: Int, way: Int) -> None:
    low: Int = 0
    high: Int = ways
    while high - low > 1:
        middle = (low + high + 1) // 2
        above = way >= middle
        state.upper[start + middle] = not above
        low, high = (middle, high) if above else (low, middle)


@fill.register
def _fill(state: State, start: Int, ways: Int, way: Int) -> None:
    touch(state, start, ways, way)


@victim.register
def _victim(state: State, start: Int, ways: Int) -> Int:
    low: Int = 0
    high: Int = ways
    while high - low > 1:
        middle = (low + high + 1) // 2
        above = state.upper[start + middle] == 1
        low, high = (middle, high) if above else (low, middle)
    return low


@drop.register
def _drop(state: State, start: Int, ways: Int, way: Int) -> None:
    pass
