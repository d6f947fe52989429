"""Every line of the footprint with the same chance."""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt.workload.synthetic import below, draws, with_writes

OPTIONS = {"write_share": 0.3}
DEPENDENCE = 0.0  #: draws are independent


def make(pages: int, seed: int, write_share: float) -> Any:
    """Accesses of the workload."""

    def generate(first: int, last: int) -> Any:
        line = below(draws(seed, 1, first, last), 64)
        page = below(draws(seed, 0, first, last), pages).astype(np.uint32)
        return page, with_writes(line, draws(seed, 2, first, last), write_share)

    return generate
