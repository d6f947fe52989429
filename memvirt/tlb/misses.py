"""Which accesses missed, kept small: as places where they are few, as a bit for each access where they are many."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memvirt.digest import freeze

Misses = NDArray[np.uint32] | NDArray[np.uint8]


def pack(offsets: NDArray[np.uint32], size: int) -> Misses:
    """Keep which of ``size`` accesses missed, in an eighth of a byte for each access at the most.

    Parameters
    ----------
    offsets : (n,) uint32
        Ascending.
    size : int
    """
    if 32 * offsets.size <= size:
        return offsets.copy()
    missed = np.zeros(size, bool)
    missed[offsets] = True
    return np.packbits(missed)


def unpack(kept: Misses) -> NDArray[np.uint32]:
    """Offsets of the accesses that missed, ascending."""
    if kept.dtype == np.uint32:
        return kept.view(np.uint32)
    return freeze(np.flatnonzero(np.unpackbits(kept.view(np.uint8))).astype(np.uint32))
