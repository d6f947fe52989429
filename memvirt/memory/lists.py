"""A doubly linked list over small integers, in two arrays: what LRU, FIFO and CLOCK are made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import kernel


class Chain(NamedTuple):
    """A ring of items; the last slot is the sentinel, whose ``next`` is the newest and ``prev`` the oldest."""

    next: NDArray[np.int32]
    prev: NDArray[np.int32]


def make_chain(size: int) -> Chain:
    """An empty list for items 0 … ``size`` - 1."""
    return Chain(np.full(size + 1, size, np.int32), np.full(size + 1, size, np.int32))


@kernel
def push_front(chain: Chain, item: int) -> None:
    """Add an item as the newest."""
    end = chain.next.size - 1
    first = chain.next[end]
    chain.next[item], chain.prev[item] = first, end
    chain.prev[first] = item
    chain.next[end] = item


@kernel
def push_back(chain: Chain, item: int) -> None:
    """Add an item as the oldest."""
    end = chain.next.size - 1
    last = chain.prev[end]
    chain.next[item], chain.prev[item] = end, last
    chain.next[last] = item
    chain.prev[end] = item


@kernel
def unlink(chain: Chain, item: int) -> None:
    """Take an item out, wherever it stands."""
    before, after = chain.prev[item], chain.next[item]
    chain.next[before] = after
    chain.prev[after] = before


@kernel
def oldest(chain: Chain) -> int:
    """Return the item that was pushed longest ago, or the sentinel."""
    return chain.prev[chain.next.size - 1]  # type: ignore[no-any-return]


@kernel
def newest(chain: Chain) -> int:
    """Return the item that was pushed last, or the sentinel."""
    return chain.next[chain.next.size - 1]  # type: ignore[no-any-return]
