"""Random numbers inside kernels: splitmix64, its state an array of one element."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import kernel
from memvirt.typing import Int


def scramble(z: Any) -> Any:
    """Scramble 64 bits, of one number or of each in an array: the finaliser of splitmix64 (Steele, Lea, Flood, OOPSLA'14)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


mix64 = kernel(scramble)


@kernel
def below(rng: NDArray[np.uint64], limit: Int) -> Int:
    """Draw an integer from 0 … ``limit`` - 1 and advance the state."""
    rng[0] += np.uint64(0x9E3779B97F4A7C15)
    return np.int64(mix64(rng[0]) % np.uint64(limit))
