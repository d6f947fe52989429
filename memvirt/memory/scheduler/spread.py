"""Give each VM a home node in turn and keep its vCPUs there, the fewest to a CPU (thin VMs, as vMitosis calls them)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def assign(vcpus: list[int], nodes: int, cpus_per_node: int) -> NDArray[np.int64]:
    """Physical CPU of each vCPU."""
    taken = [0] * nodes
    places = []
    for vm, count in enumerate(vcpus):
        home = vm % nodes
        for _ in range(count):
            places.append(home * cpus_per_node + taken[home] % cpus_per_node)
            taken[home] += 1
    return np.array(places, np.int64)
