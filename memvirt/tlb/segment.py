"""Which pages a segment translates, and which escape from it: pages that must, and what the filter takes for one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memvirt.random import scramble
from memvirt.types import Segment, Space


def _hash(segment: Segment, numbers: NDArray[np.uint64], which: int) -> NDArray[np.uint64]:
    hashed: NDArray[np.uint64] = scramble(numbers * np.uint64(0x9E3779B97F4A7C15) + np.uint64(segment.seed * 64 + which))
    return hashed


def escapes(segment: Segment, numbers: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether each of some pages escapes: a bad one, or one that a Bloom filter of them can't tell from one.

    Parameters
    ----------
    segment : Segment
    numbers : (n,) uint64
        Pages of one segment.
    """
    bad = _hash(segment, numbers, 63).astype(np.float64) / 2.0**64 < segment.bad
    if not bad.any():
        return bad
    bits = np.zeros(segment.filter_bits, bool)
    caught = np.ones(numbers.size, bool)
    places = [(_hash(segment, numbers, which) % np.uint64(segment.filter_bits)).astype(np.int64) for which in range(segment.hashes)]
    for place in places:
        bits[place[bad]] = True
    for place in places:
        caught &= bits[place]
    return caught | bad


def bypassed(segment: Segment, space: Space) -> NDArray[np.uint8]:
    """Whether each page is translated by its address space's segment.

    Parameters
    ----------
    segment : Segment
    space : Space

    Returns
    -------
    (pages,) uint8
    """
    vm = np.repeat(np.arange(space.page_base.size - 1), np.diff(space.page_base))
    new = np.ones(vm.size, bool)
    new[1:] = (vm[1:] != vm[:-1]) | (space.asid[1:] != space.asid[:-1])
    starts = np.flatnonzero(new)
    inside = np.zeros(vm.size, np.uint8)
    for first, end in zip(starts, [*starts[1:], vm.size], strict=True):
        last = first + round((end - first) * segment.share)
        inside[first:last] = ~escapes(segment, space.vpn[first:last])
    return inside
