"""Random: any way, each with the same chance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.random import below
from memvirt.tlb.replacement import drop, fill, touch, victim
from memvirt.typing import Int


class State(NamedTuple):
    """The generator."""

    rng: NDArray[np.uint64]


def make(slots: int, ways: list[int], seed: int) -> State:
    """State for ``slots`` slots of arrays with these numbers of ways."""
    return State(np.array([seed], np.uint64))


@touch.register
def _touch(state: State, start: Int, ways: Int, way: Int) -> None:
    pass


@fill.register
def _fill(state: State, start: Int, ways: Int, way: Int) -> None:
    pass


@victim.register
def _victim(state: State, start: Int, ways: Int) -> Int:
    return below(state.rng, ways)


@drop.register
def _drop(state: State, start: Int, ways: Int, way: Int) -> None:
    pass
