"""CLOCK, second chance (Corbató, 1968): the hand clears access bits until it meets a page without one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import kernel
from memvirt.memory.lists import Chain, items, make_chain, oldest, push_front, unlink
from memvirt.memory.replacement import insert, remove, touch, victim, victim_of
from memvirt.typing import Int


class State(NamedTuple):
    """Pages in the order in which the hand will meet them, oldest first, and their access bits."""

    circle: Chain
    accessed: NDArray[np.uint8]


def make(size: int, seed: int, groups: NDArray[np.int64] | None = None) -> State:
    """State for items 0 … ``size`` - 1."""
    return State(make_chain(size, groups), np.zeros(size, np.uint8))


@insert.register
def _insert(state: State, item: Int) -> None:
    state.accessed[item] = 0
    push_front(state.circle, item)


@touch.register
def _touch(state: State, item: Int) -> None:
    state.accessed[item] = 1


@kernel
def _turn(state: State, group: Int) -> Int:
    item = oldest(state.circle, group)
    while item < items(state.circle) and state.accessed[item]:
        state.accessed[item] = 0
        unlink(state.circle, item)
        push_front(state.circle, item)
        item = oldest(state.circle, group)
    return item


@victim.register
def _victim(state: State) -> Int:
    return _turn(state, np.int64(0))


@victim_of.register
def _victim_of(state: State, group: Int) -> Int:
    item = _turn(state, group)
    return item if item < items(state.circle) else -1


@remove.register
def _remove(state: State, item: Int) -> None:
    unlink(state.circle, item)
