"""Which pages a segment translates, and which escape from it: pages that must, and what the filter takes for one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner, inner_apart
from memvirt.random import mix64, scramble
from memvirt.types import Segment, Space
from memvirt.typing import Int

SPREAD = 0x9E3779B97F4A7C15
LUCK = 63  #: the hash that says which pages are bad; those below it are the filter's


class Escapes(NamedTuple):
    """The host's segments, one a VM, and their filters.

    Attributes
    ----------
    direct : (n,) uint8
        Whether the segment translates a page (or guest frame); VMs one after the other.
    bits : (vms, filter bits) uint8
    base : (vms + 1,) int64
        First page of each VM.
    hashes, seed : int
    """

    direct: NDArray[np.uint8]
    bits: NDArray[np.uint8]
    base: NDArray[np.int64]
    hashes: int
    seed: int


def _hash(segment: Segment, numbers: NDArray[np.uint64], which: int) -> NDArray[np.uint64]:
    hashed: NDArray[np.uint64] = scramble(numbers * np.uint64(SPREAD) + np.uint64(segment.seed * 64 + which))
    return hashed


def escapes(segment: Segment, numbers: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether each of some pages escapes: a bad one, or one that a Bloom filter of them can't tell from one.

    Parameters
    ----------
    segment : Segment
    numbers : (n,) uint64
        Pages of one segment.
    """
    return filtered(segment, numbers)[0]


def filtered(segment: Segment, numbers: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """What `escapes` returns, and the filter's bits."""
    bad = _hash(segment, numbers, LUCK).astype(np.float64) / 2.0**64 < segment.bad
    bits = np.zeros(segment.filter_bits, np.uint8)
    if not bad.any():
        return bad, bits
    caught = np.ones(numbers.size, bool)
    places = [(_hash(segment, numbers, which) % np.uint64(segment.filter_bits)).astype(np.int64) for which in range(segment.hashes)]
    for place in places:
        bits[place[bad]] = 1
    for place in places:
        caught &= bits[place] > 0
    return caught | bad, bits


def host_segments(segment: Segment, base: NDArray[np.int64]) -> Escapes:
    """The host's segments before anything is taken away: each covers all of a VM but for its bad pages.

    Parameters
    ----------
    segment : Segment
    base : (vms + 1,) int64
        First page (or guest frame) of each VM.
    """
    other = segment._replace(seed=segment.seed + 1)  # pages that are bad in the guest's segment aren't bad in the host's
    each = [filtered(other, np.arange(size, dtype=np.uint64)) for size in np.diff(base)]
    bits = np.stack([row for _, row in each]) if each else np.zeros((0, segment.filter_bits), np.uint8)
    direct = np.concatenate([~escaped for escaped, _ in each]).astype(np.uint8)
    return Escapes(direct, bits, np.asarray(base, np.int64), segment.hashes, other.seed)


def no_segments() -> Escapes:
    """What stands for them where there are none."""
    return Escapes(np.zeros(1, np.uint8), np.zeros((1, 1), np.uint8), np.zeros(2, np.int64), 1, 0)


@inner
def place_in_filter(escapes: Escapes, number: Int, which: Int) -> Int:
    """Bit of a page by one of the hashes."""
    hashed = mix64(np.uint64(number) * np.uint64(SPREAD) + np.uint64(escapes.seed * 64 + which))
    return np.int64(hashed % np.uint64(escapes.bits.shape[1]))


@inner_apart
def take_away(escapes: Escapes, vm: Int, page: Int) -> Int:
    """Enter a page that the host has taken away into its VM's filter; returns how many others the filter now takes for one.

    All that a new bit can catch is looked at, which happens no more often than the filter has bits.
    """
    first, bits = escapes.base[vm], escapes.bits[vm]
    escapes.direct[page] = 0
    new = False
    for which in range(escapes.hashes):
        place = place_in_filter(escapes, page - first, np.int64(which))
        new = new or bits[place] == 0
        bits[place] = 1
    caught = np.int64(0)
    if new:
        for other in range(first, escapes.base[vm + 1]):
            if not escapes.direct[other]:
                continue
            held = True
            for which in range(escapes.hashes):
                held = held and bits[place_in_filter(escapes, other - first, np.int64(which))] > 0
            if held:
                escapes.direct[other] = 0
                caught += 1
    return caught


def in_guest_segments(segment: Segment, space: Space) -> NDArray[np.uint8]:
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


def bypassing(segment: Segment, space: Space) -> Escapes:
    """Which pages both segments translate, so that they need no TLB entry; the filter is the host's."""
    host = host_segments(segment, space.page_base)
    return host._replace(direct=host.direct & in_guest_segments(segment, space))
