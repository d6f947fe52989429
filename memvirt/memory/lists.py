"""A doubly linked list over small integers, in two arrays: what LRU, FIFO and CLOCK are made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner, kernel
from memvirt.typing import Int


class Chain(NamedTuple):
    """Rings of items, one a group; behind the items stands a sentinel of each, whose ``next`` is the newest, ``prev`` the oldest.

    Attributes
    ----------
    next, prev : (size + groups,) int32
    home : (size,) or (1,) int32
        Each item's sentinel; one for all of a single group.
    mask : (1,) int64
        Which bits of an item say where in ``home`` it stands.
    """

    next: NDArray[np.int32]
    prev: NDArray[np.int32]
    home: NDArray[np.int32]
    mask: NDArray[np.int64]


def make_chain(size: int, groups: NDArray[np.int64] | None = None) -> Chain:
    """Empty lists for items 0 … ``size`` - 1.

    Parameters
    ----------
    size : int
    groups : (size,) int64, optional
        Group of each item; one for all if not given.
    """
    if groups is None:
        home, mask, count = np.full(1, size, np.int32), np.int64(0), 1
    else:
        count = int(groups.max(initial=0)) + 1
        home, mask = (size + groups).astype(np.int32), np.int64(-1)
    ends = np.arange(size + count, dtype=np.int32)
    return Chain(ends, ends.copy(), home, np.array([mask]))


@inner
def _end(chain: Chain, item: Int) -> Int:
    return np.int64(chain.home[item & chain.mask[0]])


@kernel
def push_front(chain: Chain, item: Int) -> None:
    """Add an item as the newest of its group."""
    end = _end(chain, item)
    first = chain.next[end]
    chain.next[item], chain.prev[item] = first, end
    chain.prev[first] = item
    chain.next[end] = item


@kernel
def is_newest(chain: Chain, item: Int) -> bool:
    """Whether an item is the newest of its group."""
    return chain.prev[item] == _end(chain, item)  # type: ignore[no-any-return]


@kernel
def push_back(chain: Chain, item: Int) -> None:
    """Add an item as the oldest of its group."""
    end = _end(chain, item)
    last = chain.prev[end]
    chain.next[item], chain.prev[item] = end, last
    chain.next[last] = item
    chain.prev[end] = item


@kernel
def unlink(chain: Chain, item: Int) -> None:
    """Take an item out, wherever it stands."""
    before, after = chain.prev[item], chain.next[item]
    chain.next[before] = after
    chain.prev[after] = before


@kernel
def oldest(chain: Chain, group: Int = 0) -> Int:
    """Return the item of a group that was pushed longest ago; if there is none, what is no item: not less than `items`."""
    return np.int64(chain.prev[items(chain) + group])  # type: ignore[return-value]


@kernel
def items(chain: Chain) -> Int:
    """How many items there can be."""
    return np.int64(chain.home[0]) if chain.mask[0] == 0 else np.int64(chain.home.size)  # type: ignore[return-value]


@kernel
def newest(chain: Chain, group: Int = 0) -> Int:
    """Return the item of a group that was pushed last; if there is none, what is no item: not less than `items`."""
    return np.int64(chain.next[items(chain) + group])  # type: ignore[return-value]


@kernel
def group_of(chain: Chain, item: Int) -> Int:
    """Group of an item."""
    return _end(chain, item) - items(chain)  # type: ignore[no-any-return]


def count_groups(chain: Chain) -> int:
    """How many groups there are."""
    return chain.next.size - int(items(chain))
