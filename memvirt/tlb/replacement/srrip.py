"""Static re-reference interval prediction with two bits (Jaleel, Theobald, Steely and Emer, ISCA'10).

A new entry is expected back late (2), a used one soon (0); the victim is the lowest way that is expected latest (3), after all
have been aged until there is one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.tlb.replacement import drop, fill, touch, victim
from memvirt.typing import Int

LONG, DISTANT = np.uint8(2), np.uint8(3)


class State(NamedTuple):
    """When each slot's entry is expected back."""

    expected: NDArray[np.uint8]


def make(slots: int, ways: list[int], seed: int) -> State:
    """State for ``slots`` slots of arrays with these numbers of ways."""
    return State(np.full(slots, DISTANT, np.uint8))


@touch.register
def _touch(state: State, start: Int, ways: Int, way: Int) -> None:
    state.expected[start + way] = 0


@fill.register
def _fill(state: State, start: Int, ways: Int, way: Int) -> None:
    state.expected[start + way] = LONG


@victim.register
def _victim(state: State, start: Int, ways: Int) -> Int:
    latest = state.expected[start]
    for way in range(1, ways):
        latest = max(latest, state.expected[start + way])
    chosen = -1
    for way in range(ways):
        state.expected[start + way] += DISTANT - latest
        if chosen < 0 and state.expected[start + way] == DISTANT:
            chosen = way
    return chosen


@drop.register
def _drop(state: State, start: Int, ways: Int, way: Int) -> None:
    state.expected[start + way] = DISTANT
