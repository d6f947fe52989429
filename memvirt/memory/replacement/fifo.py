"""First in, first out: accesses don't matter."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.memory.lists import Chain, items, make_chain, oldest, push_front, unlink
from memvirt.memory.replacement import insert, remove, touch, victim, victim_of
from memvirt.typing import Int


class State(NamedTuple):
    """Pages by arrival."""

    arrival: Chain


def make(size: int, seed: int, groups: NDArray[np.int64] | None = None) -> State:
    """State for items 0 … ``size`` - 1."""
    return State(make_chain(size, groups))


@insert.register
def _insert(state: State, item: Int) -> None:
    push_front(state.arrival, item)


@touch.register
def _touch(state: State, item: Int) -> None:
    pass


@victim.register
def _victim(state: State) -> Int:
    return oldest(state.arrival)


@victim_of.register
def _victim_of(state: State, group: Int) -> Int:
    item = oldest(state.arrival, group)
    return item if item < items(state.arrival) else -1


@remove.register
def _remove(state: State, item: Int) -> None:
    unlink(state.arrival, item)
