"""STREAM's triad, a[i] = b[i] + c[i], over three arrays of 8-byte numbers that fill the footprint (McCalpin)."""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt.types import WRITE

OPTIONS: dict[str, Any] = {}
DEPENDENCE = 0.0  #: its indices count up


def make(pages: int, seed: int) -> Any:
    """Accesses of the workload."""
    size = max(pages * 4096 // 24, 1)

    def generate(first: int, last: int) -> Any:
        access = np.arange(first, last, dtype=np.int64)
        array, element = access % 3, access // 3 % size
        address = (np.array([1, 2, 0])[array] * size + element) * 8
        line = (address >> 6 & 63) | np.where(array == 2, WRITE, 0)
        return (address >> 12).astype(np.uint32), line.astype(np.uint8)

    return generate
