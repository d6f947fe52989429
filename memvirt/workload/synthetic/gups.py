"""GUPS as vMitosis runs it (ASPLOS'21): random updates, each to two entries of a table.

Of N 8-byte entries an update touches T[e] and T[N - e] for a random e in 1 … N - 1. Both touches read and write their
entry, and count as one write each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt.types import WRITE
from memvirt.workload.synthetic import below, draws

OPTIONS: dict[str, Any] = {}
DEPENDENCE = 0.0  #: an update's index is a random number of its own


def make(pages: int, seed: int) -> Any:
    """Accesses of the workload; access 2 u and 2 u + 1 are update u."""
    entries = pages * 512

    def generate(first: int, last: int) -> Any:
        low = first // 2
        chosen = below(draws(seed, 0, low, (last + 1) // 2), entries - 1).astype(np.int64) + 1
        access = np.arange(first, last)
        entry = chosen[access // 2 - low]
        address = np.where(access % 2 == 0, entry, entries - entry) * 8
        return (address >> 12).astype(np.uint32), ((address >> 6 & 63) | WRITE).astype(np.uint8)

    return generate
