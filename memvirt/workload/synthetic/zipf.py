"""Page of rank r with a chance proportional to r ** -alpha; ranks are scattered over the footprint if ``scrambled``."""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt.workload.synthetic import Ranks, below, draws, unit, with_writes

OPTIONS = {"alpha": 0.9, "scrambled": True, "write_share": 0.3}


def make(pages: int, seed: int, alpha: float, scrambled: bool, write_share: float) -> Any:
    """Accesses of the workload."""
    weight = np.arange(1, pages + 1, dtype=np.float64) ** -alpha
    rank_of = Ranks(np.cumsum(weight / weight.sum()))
    place = np.argsort(draws(seed, 3, 0, pages), kind="stable") if scrambled else np.arange(pages)

    def generate(first: int, last: int) -> Any:
        rank = np.minimum(rank_of(unit(draws(seed, 0, first, last))), pages - 1)
        line = below(draws(seed, 1, first, last), 64)
        return place[rank].astype(np.uint32), with_writes(line, draws(seed, 2, first, last), write_share)

    return generate
