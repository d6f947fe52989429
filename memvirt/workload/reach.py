"""Which pages a guest's tables can translate: a canonical address repeats its highest translated bit in all above it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memvirt.types import LEVEL_BITS, PAGE_BITS

VPN_BITS = 64 - PAGE_BITS  #: of a page number whose address is sign-extended
MOST_LEVELS = 5


def untranslated(vpn: NDArray[np.uint64], levels: int) -> int | None:
    """First page that so many levels of tables don't translate; None if they translate all.

    Parameters
    ----------
    vpn : (n,) uint64
        Page numbers, sign-extended.
    levels : int
    """
    sign = LEVEL_BITS * levels - 1
    above = vpn >> np.uint64(sign)
    wrong = np.flatnonzero((above != 0) & (above != (1 << VPN_BITS - sign) - 1))
    return int(vpn[wrong[0]]) if wrong.size else None


def beyond(address: int, levels: int, what: str = "the trace") -> str:
    """Say why an address that ``what`` touches isn't translated."""
    bits = PAGE_BITS + LEVEL_BITS * levels
    why = f"{what} touches {address:#x}, which is no canonical address of the {bits} bits that {levels} levels translate"
    vpn = np.array([address >> PAGE_BITS], np.uint64)
    more = next((more for more in range(levels + 1, MOST_LEVELS + 1) if untranslated(vpn, more) is None), None)
    return why + (f"; {more} levels translate it" if more else "")
