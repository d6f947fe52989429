"""First in, first out: accesses don't matter."""

from __future__ import annotations

from typing import NamedTuple

from memvirt.memory.lists import Chain, make_chain, oldest, push_front, unlink
from memvirt.memory.replacement import insert, remove, touch, victim


class State(NamedTuple):
    """Pages by arrival."""

    arrival: Chain


def make(size: int, seed: int) -> State:
    """State for items 0 … ``size`` - 1."""
    return State(make_chain(size))


@insert.register
def _insert(state: State, item: int) -> None:
    push_front(state.arrival, item)


@touch.register
def _touch(state: State, item: int) -> None:
    pass


@victim.register
def _victim(state: State) -> int:
    return oldest(state.arrival)


@remove.register
def _remove(state: State, item: int) -> None:
    unlink(state.arrival, item)
