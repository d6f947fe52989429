"""Least recently used, exact: an access moves its page to the front, the last one goes."""

from __future__ import annotations

from typing import NamedTuple

from memvirt.memory.lists import Chain, make_chain, oldest, push_front, unlink
from memvirt.memory.replacement import insert, remove, touch, victim


class State(NamedTuple):
    """Pages by recency."""

    recency: Chain


def make(size: int, seed: int) -> State:
    """State for items 0 … ``size`` - 1."""
    return State(make_chain(size))


@insert.register
def _insert(state: State, item: int) -> None:
    push_front(state.recency, item)


@touch.register
def _touch(state: State, item: int) -> None:
    if state.recency.prev[item] != state.recency.next.size - 1:
        unlink(state.recency, item)
        push_front(state.recency, item)


@victim.register
def _victim(state: State) -> int:
    return oldest(state.recency)


@remove.register
def _remove(state: State, item: int) -> None:
    unlink(state.recency, item)
