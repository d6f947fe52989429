"""A server whose working set swells at peaks: a share of the footprint is used off-peak, all of it at a peak.

From access ``peak_at`` on there is a peak of ``peak_accesses`` (0: it never ends), and one more every ``peak_every`` accesses after
its start (0: no other). Within what is used, the page of rank r has a chance proportional to r ** -alpha (0: all the same); ranks
are scattered over the part of the footprint that is used off-peak, and over the rest, which is the colder part at a peak.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memvirt.workload.synthetic import below, draws, unit, with_writes

OPTIONS = {
    "off_peak": 0.25,
    "peak_at": 500_000,
    "peak_every": 0,
    "peak_accesses": 0,
    "alpha": 0.0,
    "write_share": 0.3,
}


def at_peak(access: NDArray[np.int64], peak_at: int, peak_every: int, peak_accesses: int) -> NDArray[np.bool_]:
    """Whether accesses are made at a peak."""
    since = access - peak_at
    within = since % peak_every if peak_every else since
    return (since >= 0) & ((within < peak_accesses) | (peak_accesses == 0))


def make(
    pages: int, seed: int, off_peak: float, peak_at: int, peak_every: int, peak_accesses: int, alpha: float, write_share: float
) -> Any:
    """Accesses of the workload."""
    used = min(pages, max(1, round(off_peak * pages)))
    cumulative = np.cumsum(np.arange(1, pages + 1, dtype=np.float64) ** -alpha)
    order = np.argsort(draws(seed, 3, 0, pages), kind="stable")
    place = np.concatenate([order[order < used], order[order >= used]])
    times = (int(peak_at), int(peak_every), int(peak_accesses))

    def generate(first: int, last: int) -> Any:
        limit = np.where(at_peak(np.arange(first, last), *times), pages, used)
        rank = np.searchsorted(cumulative, unit(draws(seed, 0, first, last)) * cumulative[limit - 1], side="right")
        line = below(draws(seed, 1, first, last), 64)
        page = place[np.minimum(rank, limit - 1)].astype(np.uint32)
        return page, with_writes(line, draws(seed, 2, first, last), write_share)

    return generate
