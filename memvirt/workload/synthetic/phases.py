"""A working set that moves: each phase touches a window of the footprint of its own, uniformly."""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt.workload.synthetic import below, draws, with_writes

OPTIONS = {"phase_accesses": 100_000, "working_set": 0.25, "write_share": 0.3}


def make(pages: int, seed: int, phase_accesses: int, working_set: float, write_share: float) -> Any:
    """Accesses of the workload."""
    size = max(1, min(pages, round(pages * working_set)))
    every = max(1, int(phase_accesses))

    def generate(first: int, last: int) -> Any:
        low = first // every
        starts = below(draws(seed, 3, low, last // every + 1), pages).astype(np.int64)
        start = starts[np.arange(first, last) // every - low]
        within = below(draws(seed, 0, first, last), size).astype(np.int64)
        line = below(draws(seed, 1, first, last), 64)
        page = ((start + within) % pages).astype(np.uint32)
        return page, with_writes(line, draws(seed, 2, first, last), write_share)

    return generate
