"""The Skylake class's L2 TLB policy: ways in groups of four, the group after the one used last, tree-PLRU within it.

What TLB;DR (Tatar et al., USENIX Security'22) found of its twelve ways and writes (MRU + 1) % 3, PLRU 4 (recalled, not re-read).
A set whose ways aren't a multiple of four has groups of two, or of one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import kernel
from memvirt.tlb.replacement import drop, fill, touch, victim
from memvirt.typing import Int


class State(NamedTuple):
    """Of each set, at its first slot, the group used last; of each group, at its first slot, its tree's bits: root, left, right.

    A bit says which half goes next: 1 the upper.
    """

    latest: NDArray[np.uint8]
    tree: NDArray[np.uint8]


def make(slots: int, ways: list[int], seed: int) -> State:
    """State for ``slots`` slots of arrays with these numbers of ways."""
    return State(np.zeros(slots, np.uint8), np.zeros(slots, np.uint8))


@kernel
def group_size(ways: Int) -> Int:
    """Ways of a group."""
    return 4 if ways % 4 == 0 else (2 if ways % 2 == 0 else 1)


@touch.register
def _touch(state: State, start: Int, ways: Int, way: Int) -> None:
    size = group_size(ways)
    group, within = way // size, way % size
    state.latest[start] = group
    place = start + group * size
    bits = np.int64(state.tree[place])
    if size == 4:
        bits = bits & ~1 | (within < 2)
        half = 1 + within // 2
        bits = bits & ~(1 << half) | ((within % 2 == 0) << half)
    else:
        bits = np.int64(within == 0)
    state.tree[place] = bits


@fill.register
def _fill(state: State, start: Int, ways: Int, way: Int) -> None:
    touch(state, start, ways, way)


@victim.register
def _victim(state: State, start: Int, ways: Int) -> Int:
    size = group_size(ways)
    group = (np.int64(state.latest[start]) + 1) % (ways // size)
    bits = np.int64(state.tree[start + group * size])
    if size == 4:
        half = bits & 1
        return group * size + 2 * half + ((bits >> (1 + half)) & 1)  # type: ignore[no-any-return]
    return group * size + (bits & 1 if size == 2 else 0)  # type: ignore[no-any-return]


@drop.register
def _drop(state: State, start: Int, ways: Int, way: Int) -> None:
    pass
