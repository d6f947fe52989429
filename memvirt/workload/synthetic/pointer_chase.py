"""A linked list through all lines of the footprint in random order, followed round and round: a random single cycle."""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt.workload.synthetic import draws

OPTIONS: dict[str, Any] = {}
DEPENDENCE = 1.0  #: each access reads where the next one goes


def make(pages: int, seed: int) -> Any:
    """Accesses of the workload."""
    order = np.argsort(draws(seed, 0, 0, pages * 64), kind="stable")

    def generate(first: int, last: int) -> Any:
        node = order[np.arange(first, last) % order.size]
        return (node >> 6).astype(np.uint32), (node & 63).astype(np.uint8)

    return generate
