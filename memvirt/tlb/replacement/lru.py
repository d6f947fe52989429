"""Least recently used, exact: small sets stand in order of recency where nothing but tags is kept; else it is noted when."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.recency import LANES, bring_first
from memvirt.tlb.replacement import INVALID, drop, fill, take, take_by_ways, touch, victim
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


@take.register
def _take(state: State, tags: NDArray[np.uint32], start: Int, ways: Int, tag: np.uint32) -> bool:
    if ways > LANES:
        return take_by_ways(state, tags, start, ways, tag)  # type: ignore[no-any-return]
    at = np.uint64(start)
    return tags[at] == tag or bring_first(tags, at, ways, tag, INVALID, True)  # type: ignore[no-any-return]
