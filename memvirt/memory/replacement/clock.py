"""CLOCK, second chance (Corbató, 1968): the hand clears access bits until it meets a page without one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.memory.lists import Chain, make_chain, oldest, push_front, unlink
from memvirt.memory.replacement import insert, remove, touch, victim


class State(NamedTuple):
    """Pages in the order in which the hand will meet them, oldest first, and their access bits."""

    circle: Chain
    accessed: NDArray[np.uint8]


def make(size: int, seed: int) -> State:
    """State for items 0 … ``size`` - 1."""
    return State(make_chain(size), np.zeros(size, np.uint8))


@insert.register
def _insert(state: State, item: int) -> None:
    state.accessed[item] = 0
    push_front(state.circle, item)


@touch.register
def _touch(state: State, item: int) -> None:
    state.accessed[item] = 1


@victim.register
def _victim(state: State) -> int:
    item = oldest(state.circle)
    while state.accessed[item]:
        state.accessed[item] = 0
        unlink(state.circle, item)
        push_front(state.circle, item)
        item = oldest(state.circle)
    return item


@remove.register
def _remove(state: State, item: int) -> None:
    unlink(state.circle, item)
