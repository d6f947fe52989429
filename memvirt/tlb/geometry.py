"""Which array, set and tag each page has, worked out once for all pages instead of at each access."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.tlb.config import Array, Tlb
from memvirt.types import NONE, ORDERS, Space

NOWHERE = np.int32(-1)  #: no array of the level holds pages of this size


class Level(NamedTuple):
    """One level of a CPU's TLBs.

    Attributes
    ----------
    start : (pages, orders) int32
        First slot of the page's set, for each entry order (4K, 2M, 1G); `NOWHERE` if none holds it.
    start_now : (pages,) int32
        As ``start``, for the order that the page's entry has now.
    ways, cycles : (slots,) int32
        Of the array that a slot belongs to.
    miss_cycles : int
        What a look-up costs that finds nothing: all of the level's arrays must have answered, since which size a page has is
        known only once it is found, so the slowest of them counts.
    slots : int
        Of one CPU.
    """

    start: NDArray[np.int32]
    start_now: NDArray[np.int32]
    ways: NDArray[np.int32]
    cycles: NDArray[np.int32]
    miss_cycles: int
    slots: int


class Entries(NamedTuple):
    """The entry that translates each page.

    Attributes
    ----------
    guest_order, host_order : (pages,) uint8
        Changed by DROP events.
    tag : (pages, orders) uint32
        First global page of the aligned region of each order: unique, since a page has one order at a time.
    tag_now : (pages,) uint32
        As ``tag``, for the order that the page's entry has now.
    """

    guest_order: NDArray[np.uint8]
    host_order: NDArray[np.uint8]
    tag: NDArray[np.uint32]
    tag_now: NDArray[np.uint32]


def columns(guest_order: NDArray[np.uint8], host_order: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Column of each page's entry in what is kept for each order."""
    return np.minimum(guest_order, host_order).astype(np.intp) // 9


def set_index(number: NDArray[np.uint64], array: Array, index: str) -> NDArray[np.int64]:
    """Set of each page number: modulo, or the XOR of its lowest two groups of index bits (Skylake's STLB: 7 and 7)."""
    sets = array.sets
    if index == "modulo":
        return (number % np.uint64(sets)).astype(np.int64)
    bits = np.uint64(sets.bit_length() - 1)
    return ((number ^ (number >> bits)) & np.uint64(sets - 1)).astype(np.int64)


def hash_bit(number: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Parity of a page number: which of two arrays holds it."""
    folded = number.copy()
    for shift in (32, 16, 8, 4, 2, 1):
        folded ^= folded >> np.uint64(shift)
    return (folded & np.uint64(1)).astype(np.int64)


def lay_out_level(config: Tlb, level: int, space: Space, entries: Entries, side: str = "data") -> Level:
    """Place every page of every size in the level's arrays for one side."""
    arrays = list(config.of_side(level, side).values())
    offsets = np.concatenate([[0], np.cumsum([array.entries for array in arrays])]).astype(np.int64)
    start = np.full((space.vpn.size, len(ORDERS)), NOWHERE, np.int32)
    for column, (size, order) in enumerate(ORDERS.items()):
        if order > space.guest_order.max(initial=0):  # no entry is ever larger than the guest's page
            continue
        holders = [place for place, array in enumerate(arrays) if size in array.page_sizes]
        number = space.vpn >> np.uint64(order if order else group_bits(config))
        chosen = hash_bit(number) if len(holders) == 2 else np.zeros(number.size, np.int64)
        for which, place in enumerate(holders):
            mine = chosen == which
            array = arrays[place]
            start[mine, column] = offsets[place] + set_index(number[mine], array, array.index or config.index) * array.associativity
    ways = np.concatenate([np.full(array.entries, array.associativity, np.int32) for array in arrays] or [np.zeros(1, np.int32)])
    cycles = np.concatenate([np.full(array.entries, array.hit_cycles, np.int32) for array in arrays] or [np.zeros(1, np.int32)])
    now = start[np.arange(start.shape[0]), columns(entries.guest_order, entries.host_order)]
    return Level(start, now, ways, cycles, max((array.hit_cycles for array in arrays), default=0), int(offsets[-1]))


def group_bits(config: Tlb) -> int:
    """Log2 of the 4K pages that an entry can cover."""
    return config.coalesce.bit_length() - 1


def lay_out_entries(space: Space, entry_size: str, group: int = 0) -> Entries:
    """Tag every page for every size its entry can have; entries of 4K pages are for groups of ``2**group``."""
    pages = np.arange(space.vpn.size, dtype=np.uint32)
    vm = np.searchsorted(space.page_base, pages, side="right") - 1
    tag = np.full((space.vpn.size, len(ORDERS)), NONE, np.uint32)
    for column, order in enumerate(ORDERS.values()):
        if order > space.guest_order.max(initial=0):
            continue
        number = space.vpn >> np.uint64(order if order else group)
        new = np.ones(pages.size, bool)
        new[1:] = (vm[1:] != vm[:-1]) | (space.asid[1:] != space.asid[:-1]) | (number[1:] != number[:-1])
        tag[:, column] = pages[new][np.cumsum(new) - 1]
    host = space.host_order if entry_size == "smaller" else space.guest_order
    now = tag[pages, columns(space.guest_order, host)]
    return Entries(space.guest_order.copy(), host.copy(), tag, now)
