"""Random: any resident page, each with the same chance (what ESX's host swap does, OSDI'02 section 2)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import kernel
from memvirt.memory.replacement import insert, remove, touch, victim, victim_of
from memvirt.random import below
from memvirt.typing import Int


class State(NamedTuple):
    """The resident pages of each group in no order, where each stands among them, their number, and the generator.

    ``group`` and ``start`` say whose an item is and where the group's pages stand; the one element of ``mask`` is 0 where there is
    one group, and -1 where ``group`` is to be asked.
    """

    items: NDArray[np.int32]
    place: NDArray[np.int32]
    group: NDArray[np.int32]
    mask: NDArray[np.int64]
    start: NDArray[np.int64]
    count: NDArray[np.int64]  # type: ignore[assignment]  # tuples have a `count` of their own
    rng: NDArray[np.uint64]


def make(size: int, seed: int, groups: NDArray[np.int64] | None = None) -> State:
    """State for items 0 … ``size`` - 1."""
    of = np.zeros(1, np.int32) if groups is None else groups.astype(np.int32)
    sizes = np.bincount(groups) if groups is not None and groups.size else np.array([size])
    start = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    mask = np.array([0 if groups is None else -1], np.int64)
    rng = np.array([seed], np.uint64)
    return State(np.zeros(size, np.int32), np.zeros(size, np.int32), of, mask, start, np.zeros(start.size, np.int64), rng)


@kernel
def _group(state: State, item: Int) -> Int:
    return np.int64(state.group[item & state.mask[0]])


@insert.register
def _insert(state: State, item: Int) -> None:
    group = _group(state, item)
    place = state.start[group] + state.count[group]
    state.items[place] = item
    state.place[item] = place
    state.count[group] += 1


@touch.register
def _touch(state: State, item: Int) -> None:
    pass


@kernel
def _draw(state: State, group: Int) -> Int:
    if state.count[group] == 0:
        return np.int64(-1)
    return np.int64(state.items[state.start[group] + below(state.rng, state.count[group])])


@victim.register
def _victim(state: State) -> Int:
    return _draw(state, np.int64(0))


@victim_of.register
def _victim_of(state: State, group: Int) -> Int:
    return _draw(state, group)


@remove.register
def _remove(state: State, item: Int) -> None:
    group = _group(state, item)
    state.count[group] -= 1
    last = state.items[state.start[group] + state.count[group]]
    state.items[state.place[item]] = last
    state.place[last] = state.place[item]
