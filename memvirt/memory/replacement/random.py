"""Random: any resident page, each with the same chance (what ESX's host swap does, OSDI'02 section 2)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.memory.replacement import insert, remove, touch, victim
from memvirt.random import below


class State(NamedTuple):
    """The resident pages in no order, where each stands among them, their number, and the generator."""

    items: NDArray[np.int32]
    place: NDArray[np.int32]
    count: NDArray[np.int64]
    rng: NDArray[np.uint64]


def make(size: int, seed: int) -> State:
    """State for items 0 … ``size`` - 1."""
    return State(np.zeros(size, np.int32), np.zeros(size, np.int32), np.zeros(1, np.int64), np.array([seed], np.uint64))


@insert.register
def _insert(state: State, item: int) -> None:
    state.items[state.count[0]] = item
    state.place[item] = state.count[0]
    state.count[0] += 1


@touch.register
def _touch(state: State, item: int) -> None:
    pass


@victim.register
def _victim(state: State) -> int:
    return state.items[below(state.rng, state.count[0])]  # type: ignore[no-any-return]


@remove.register
def _remove(state: State, item: int) -> None:
    state.count[0] -= 1
    last = state.items[state.count[0]]
    state.items[state.place[item]] = last
    state.place[last] = state.place[item]
