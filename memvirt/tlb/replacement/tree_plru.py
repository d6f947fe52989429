"""Tree-PLRU: a binary tree of bits over the ways, each pointing away from the half that was used last.

Needs a power of two of ways.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import ConfigError
from memvirt.tlb.replacement import drop, fill, touch, victim


class State(NamedTuple):
    """Bit ``start + n`` is node ``n`` of the set's tree, node 1 its root: 1 says that the victim is in the upper half."""

    upper: NDArray[np.uint8]


def make(slots: int, ways: list[int], seed: int) -> State:
    """State for ``slots`` slots of arrays with these numbers of ways.

    Raises
    ------
    ConfigError
        If one is no power of two: no binary tree fits.
    """
    for count in ways:
        if count & (count - 1):
            raise ConfigError("tlb.replacement", "tree_plru", f"needs a power of two of ways, not {count}")
    return State(np.zeros(slots, np.uint8))


@touch.register
def _touch(state: State, start: int, ways: int, way: int) -> None:
    node, half = 1, ways // 2
    while half:
        high = way >= half
        state.upper[start + node] = not high
        node = 2 * node + high
        way -= half if high else 0
        half //= 2


@fill.register
def _fill(state: State, start: int, ways: int, way: int) -> None:
    touch(state, start, ways, way)


@victim.register
def _victim(state: State, start: int, ways: int) -> int:
    node, way, half = 1, 0, ways // 2
    while half:
        high = state.upper[start + node]
        way += half if high else 0
        node = 2 * node + high
        half //= 2
    return way


@drop.register
def _drop(state: State, start: int, ways: int, way: int) -> None:
    pass
