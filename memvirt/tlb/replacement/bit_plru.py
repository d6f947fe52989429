"""Bit-PLRU: one most-recently-used bit a way (drcachesim's BIT_PLRU).

A use sets the way's bit; when all would be set, all but the newest are cleared. The victim is drawn at
random among the ways whose bit is clear.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.random import below
from memvirt.tlb.replacement import drop, fill, touch, victim
from memvirt.typing import Int


class State(NamedTuple):
    """A bit for each slot, and the generator."""

    recent: NDArray[np.uint8]
    rng: NDArray[np.uint64]


def make(slots: int, ways: list[int], seed: int) -> State:
    """State for ``slots`` slots of arrays with these numbers of ways."""
    return State(np.zeros(slots, np.uint8), np.array([seed], np.uint64))


@touch.register
def _touch(state: State, start: Int, ways: Int, way: Int) -> None:
    if state.recent[start + way]:
        return
    state.recent[start + way] = 1
    for other in range(ways):
        if not state.recent[start + other]:
            return
    for other in range(ways):
        state.recent[start + other] = other == way


@fill.register
def _fill(state: State, start: Int, ways: Int, way: Int) -> None:
    touch(state, start, ways, way)


@victim.register
def _victim(state: State, start: Int, ways: Int) -> Int:
    clear = 0
    for way in range(ways):
        clear += 1 - state.recent[start + way]
    if clear == 0:  # one way only
        return 0
    skip = below(state.rng, clear)
    for way in range(ways):
        if not state.recent[start + way]:
            if skip == 0:
                return way
            skip -= 1
    return 0


@drop.register
def _drop(state: State, start: Int, ways: Int, way: Int) -> None:
    state.recent[start + way] = 0
