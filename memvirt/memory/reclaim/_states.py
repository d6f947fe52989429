"""ESX's memory states: from how much of the host's memory is free to how hard it is reclaimed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import kernel
from memvirt.typing import Int

HIGH, SOFT, HARD, LOW = np.int64(0), np.int64(1), np.int64(2), np.int64(3)
PAGES_A_MIB = 256

#: Sliding scale of minFree: so many MiB at a time, and the share of them that is kept free (vSphere 5; the rest 1 %).
SCALE = ((4096.0, 0.06), (8192.0, 0.04), (16384.0, 0.02))
OF_MIN_FREE = (1.0, 0.64, 0.32, 0.16)
OF_MEMORY = (0.06, 0.04, 0.02, 0.01)


@kernel
def min_free(memory: float) -> float:
    """MiB that ESX 5 keeps free of a host with so many MiB: 1597.44 of 96 GiB."""
    free, rest = 0.0, memory
    for part, share in SCALE:
        free += share * min(part, rest)
        rest -= min(part, rest)
    return free + 0.01 * rest


@kernel
def set_thresholds(levels: NDArray[np.float64], sliding: bool, memory: float) -> None:
    """Work out below how much free memory (MiB, of so many) each state is entered; that of ``high`` is where ``soft`` is left.

    ``sliding``: minFree, and 64, 32, 16 % of it (VMware, vSphere 5); else 6, 4, 2, 1 % of memory (Waldspurger, OSDI'02, section
    6.3).
    """
    for state in range(4):
        levels[state] = OF_MIN_FREE[state] * min_free(memory) if sliding else OF_MEMORY[state] * memory


@kernel
def next_state(state: Int, free: float, levels: NDArray[np.float64]) -> Int:
    """Follow free memory with hysteresis: a state is entered below its own threshold, and left at that of the state above it.

    The paper says that a lower state is entered when free memory drops below the lower threshold, and left only when it exceeds the
    higher one significantly; the next higher threshold, half as much again or more, is taken for that.
    """
    below = HIGH
    for lower in range(1, 4):
        if free < levels[lower]:
            below = np.int64(lower)
    current = max(np.int64(state), below)
    while current > below and free >= levels[current - 1]:
        current -= 1
    return np.int64(current)
