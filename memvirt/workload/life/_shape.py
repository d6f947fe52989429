"""What synthetic lives are shaped by: Zipf's law over pages in bands, working sets over a window, bursts, a day's load."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memvirt.workload.life import EXTENT
from memvirt.workload.synthetic import draws, unit

BANDS = 24  #: runs of pages of about the same rate, the hottest first


def bands(pages: int) -> tuple[Any, Any]:
    """First rank and size of each band; sizes grow as ranks do.

    Returns
    -------
    first, size : (b,) int64
    """
    edges = np.unique(np.round(np.geomspace(1, pages + 1, BANDS + 1)).astype(np.int64)) - 1
    return edges[:-1], np.diff(edges)


def weights(first: Any, size: Any, alpha: float) -> Any:
    """Rate of a page of each band, by Zipf's law: (rank) ** -alpha of the middle rank."""
    return (first + (size + 1) / 2) ** -alpha


def touched(rate: Any, size: Any, time: float) -> Any:
    """Pages of each band that are touched in a time (s) where visits come by chance at a rate (1/s a page)."""
    return size * -np.expm1(-rate * time)


def rate_for(wanted: float, weight: Any, size: Any, window: float) -> float:
    """By what to multiply weights so that ``wanted`` pages are touched in a window; bisection on a monotone function."""
    low, high = -60.0, 60.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if touched(weight * np.exp(middle), size, window).sum() < wanted else (low, middle)
    return float(np.exp(low))


def bursts(seconds: float, every: float, length: float, seed: int) -> NDArray[np.float64]:
    """Begin and end of each burst, as rows: gaps and lengths are exponential with these means; none where ``every`` is 0."""
    if every <= 0:
        return np.zeros((0, 2))
    count = int(4 * seconds / every) + 16
    gaps, lengths = (-np.log1p(-unit(draws(seed, stream, 0, count))) * mean for stream, mean in ((21, every), (22, length)))
    begin = np.cumsum(gaps) + np.cumsum(lengths) - lengths
    return np.stack([begin, begin + lengths], axis=1)[begin < seconds]


def inside(times: Any, spans: NDArray[np.float64]) -> Any:
    """Share of each step that lies in one of some spans of time, which ascend and don't overlap."""
    lengths = np.cumsum(spans[:, 1] - spans[:, 0])
    passed = np.stack([lengths - (spans[:, 1] - spans[:, 0]), lengths], axis=1)  # of the spans' time, at their edges
    before = np.interp(times, spans.ravel(), passed.ravel()) if spans.size else np.zeros_like(times)
    return np.clip(np.diff(before) / np.diff(times), 0.0, 1.0)


def extents(step: Any, first: Any, pages: Any, written: Any, visits: Any) -> NDArray[np.void]:
    """Rows of `EXTENT` of arrays that are broadcast together, those without visits left out; ascending in ``step``."""
    columns = [np.ravel(each) for each in np.broadcast_arrays(step, first, pages, written, visits)]
    found = np.zeros(columns[0].size, EXTENT)
    for name, column in zip(EXTENT.names or (), columns, strict=True):
        found[name] = np.rint(column)
    found = found[(found["visits"] > 0) & (found["pages"] > 0)]
    return found[np.argsort(found["step"], kind="stable")]


def rotated(rows: NDArray[np.void], by: Any, pages: int) -> NDArray[np.void]:
    """Move rows' pages on by so many, round a circle of ``pages``; a row that goes over its end is parted."""
    moved, later = rows.copy(), rows.copy()
    moved["first"] = (rows["first"] + by) % pages
    over = np.clip(moved["first"] + rows["pages"] - pages, 0, None)
    size = rows["pages"] - over
    share = (rows["visits"] * size) // rows["pages"]
    moved["pages"], moved["visits"], moved["written"] = size, share, np.minimum(rows["written"], size)
    later["first"], later["pages"], later["visits"] = 0, over, rows["visits"] - share
    later["written"] = rows["written"] - moved["written"]
    both = np.concatenate([moved, later])
    both = both[(both["pages"] > 0) & (both["visits"] > 0)]
    return both[np.argsort(both["step"], kind="stable")]
