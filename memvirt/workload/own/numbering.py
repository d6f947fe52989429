"""Kernels of the writer: pages by number in the order of first touch, and instructions in a byte."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import kernel
from memvirt.types import NONE

MOST_GAP = 255  #: instructions that an access can say to lie before it


@kernel
def number_pages(
    keys: NDArray[np.uint64],
    slots: NDArray[np.uint32],
    known: NDArray[np.uint64],
    count: int,
    numbers: NDArray[np.uint32],
) -> tuple[int, int]:
    """Number pages in the order of first touch, until half of the slots are taken.

    Parameters
    ----------
    keys : (n,) uint64
        Page of each access.
    slots : (2 ** k,) uint32
        Numbers by hash of the key (open addressing, linear probing); `NONE` where free.
    known : (2 ** k / 2 or more,) uint64
        Keys by number; ``count`` of them.
    numbers : (n,) uint32
        Is filled.

    Returns
    -------
    done, count : int
        Accesses whose page has a number now; pages known.
    """
    mask = np.int64(slots.size - 1)
    most = slots.size // 2
    last, number = np.uint64(0xFFFFFFFFFFFFFFFF), np.uint32(0)
    for at in range(keys.size):
        key = keys[at]
        if key != last:
            mixed = key * np.uint64(0x9E3779B97F4A7C15)
            place = np.int64((mixed ^ (mixed >> np.uint64(29))) >> np.uint64(7)) & mask
            number = slots[place]
            while number != NONE and known[number] != key:
                place = (place + 1) & mask
                number = slots[place]
            if number == NONE:
                if count >= most:
                    return at, count
                number = np.uint32(count)
                slots[place], known[count] = number, key
                count += 1
            last = key
        numbers[at] = number
    return keys.size, count


@kernel
def carry_gaps(gap: NDArray[np.int64], rest: int, small: NDArray[np.uint8]) -> int:
    """Put instructions into bytes; what is beyond 255 goes over to the accesses that follow. Returns the rest."""
    for at in range(gap.size):
        total = gap[at] + rest
        kept = min(total, MOST_GAP)
        small[at] = kept
        rest = total - kept
    return rest
