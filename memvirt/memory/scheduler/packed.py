"""Fill the first node's CPUs, then the next node's; then begin again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def assign(vcpus: list[int], nodes: int, cpus_per_node: int) -> NDArray[np.int64]:
    """Physical CPU of each vCPU."""
    return np.arange(sum(vcpus), dtype=np.int64) % (nodes * cpus_per_node)
