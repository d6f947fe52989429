"""OPT: the page whose next access is furthest away goes; no policy that can't see the future does better (Belady, 1966).

A bound, not a design. With several VMs a page's next access is counted in its own VM's accesses, as if all ran abreast.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import kernel
from memvirt.memory.replacement import foresee, insert, remove, touch, victim
from memvirt.types import NONE
from memvirt.typing import Int

FORESEES = True
ABSENT = np.int32(-1)


class State(NamedTuple):
    """A heap of the resident items, the one of the furthest next access on top.

    Attributes
    ----------
    heap, place : (size,) int32
        Items in the heap's order, and where each stands in it, `ABSENT` if it isn't resident.
    at : (size,) int64
        Next access.
    count : (1,) int64
    """

    heap: NDArray[np.int32]
    place: NDArray[np.int32]
    at: NDArray[np.int64]
    count: NDArray[np.int64]  # type: ignore[assignment]  # tuples have a `count` of their own


def make(size: int, seed: int) -> State:
    """State for items 0 … ``size`` - 1."""
    return State(np.zeros(size, np.int32), np.full(size, ABSENT, np.int32), np.full(size, NONE, np.int64), np.zeros(1, np.int64))


@kernel
def _put(state: State, place: Int, item: Int) -> None:
    state.heap[place] = item
    state.place[item] = place


@kernel
def _settle(state: State, item: Int) -> None:
    """Move an item up or down to where it belongs."""
    at, place = state.at[item], np.int64(state.place[item])
    while place > 0:
        above = (place - 1) // 2
        if state.at[state.heap[above]] >= at:
            break
        _put(state, place, state.heap[above])
        place = above
    while True:
        below = 2 * place + 1
        if below >= state.count[0]:
            break
        if below + 1 < state.count[0] and state.at[state.heap[below + 1]] > state.at[state.heap[below]]:
            below += 1
        if state.at[state.heap[below]] <= at:
            break
        _put(state, place, state.heap[below])
        place = below
    _put(state, place, item)


@insert.register
def _insert(state: State, item: Int) -> None:
    _put(state, state.count[0], item)
    state.count[0] += 1
    _settle(state, item)


@touch.register
def _touch(state: State, item: Int) -> None:
    pass


@foresee.register
def _foresee(state: State, item: Int, at: Int) -> None:
    state.at[item] = at
    _settle(state, item)


@victim.register
def _victim(state: State) -> Int:
    return np.int64(state.heap[0]) if state.count[0] > 0 else np.int64(-1)


@remove.register
def _remove(state: State, item: Int) -> None:
    state.count[0] -= 1
    last, place = state.heap[state.count[0]], state.place[item]
    state.place[item] = ABSENT
    if last != item:
        state.place[last] = place
        _settle(state, last)
