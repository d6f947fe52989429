"""Which entry of a set goes: one file a policy, four verbs, a fifth for one that counts, a sixth for one that has a faster way.

A set is the slots ``start`` … ``start + ways - 1`` of one level on one CPU; a policy's state covers all slots of a level.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner
from memvirt.policy import verb
from memvirt.typing import Int

FAMILY = "tlb.replacement"
INVALID = np.uint32(0xFFFFFFFF)  #: the tag of a way that holds nothing
SCANNED = 16  #: up to so many ways, a search that stops at the hit is fastest


@verb
def touch(state: Any, start: Int, ways: Int, way: Int) -> None:
    """Note a hit."""
    raise NotImplementedError(type(state))


@verb
def fill(state: Any, start: Int, ways: Int, way: Int) -> None:
    """Note that a new entry was put into a way."""
    raise NotImplementedError(type(state))


@verb
def victim(state: Any, start: Int, ways: Int) -> Int:
    """Name the way to replace in a set whose ways are all valid."""
    raise NotImplementedError(type(state))


@verb
def drop(state: Any, start: Int, ways: Int, way: Int) -> None:
    """Note that a way's entry was invalidated; invalid ways are filled first, lowest way first."""
    raise NotImplementedError(type(state))


@verb
def count_own(state: Any, counts: Any) -> None:
    """Add what a policy counted since it was last asked to its own counters (`memvirt.counters`), and forget it; most have none.

    ``counts`` is the record of the VM and epoch that it was asked for.
    """


@inner
def find(tags: NDArray[np.uint32], start: Int, ways: Int, tag: Int | np.uint32) -> Int:
    """Way that holds a tag, -1 if none."""
    if ways == 4:  # most L1 arrays: looked at without a branch
        found = -1
        for way in range(4):
            found = way if tags[np.uint64(start + way)] == tag else found
        return found
    if ways <= SCANNED:
        for way in range(ways):
            if tags[np.uint64(start + way)] == tag:
                return way
        return -1
    found = -1
    for way in range(ways):  # no early exit, so that it is compiled to vector instructions
        found = max(found, way if tags[np.uint64(start + way)] == tag else -1)
    return found


@inner
def take_by_ways(state: Any, tags: NDArray[np.uint32], start: Int, ways: Int, tag: np.uint32) -> bool:
    """Take a translation as `take` says, by the verbs for single ways."""
    way = find(tags, start, ways, tag)
    if way >= 0:
        touch(state, start, ways, way)
        return True
    way = find(tags, start, ways, INVALID)
    if way >= 0:  # the lowest invalid way, whichever the search found
        for lower in range(way):
            if tags[np.uint64(start + lower)] == INVALID:
                way = lower
                break
    else:
        way = victim(state, start, ways)
    tags[np.uint64(start + way)] = tag
    fill(state, start, ways, way)
    return False


@verb
def take(state: Any, tags: NDArray[np.uint32], start: Int, ways: Int, tag: np.uint32) -> bool:
    """Look a translation up in its set, and enter it if it isn't there; returns whether it was.

    A policy of its own `take` may order the set's tags as it likes: no other verb but `drop` is called then.
    """
    return take_by_ways(state, tags, start, ways, tag)  # type: ignore[no-any-return]
