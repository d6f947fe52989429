"""A working set that swells in bursts: pages are used by Zipf's law, so that the longer one looks, the more of them are touched.

In a step each page is touched with the chance 1 - exp(-its rate × the step), rates going by rank ** -alpha, so set that
``working_set`` of the footprint is touched in ``window`` on average (Denning, CACM 1968), in a burst ``peak`` of it. Bursts begin
by chance, ``burst_every`` apart on average; their lengths are exponential with a mean of ``burst``: 88 % of 57 s are over within
two minutes, as overloads are (Williams et al., Overdriver, VEE'11). Writes fall on a share ``written`` of the pages alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import ConfigError
from memvirt.workload.life import EXTENT, FREED, LOOPS, Asked, Life
from memvirt.workload.synthetic import draws, unit

OPTIONS = {
    "seconds": 600.0,
    "step": 10.0,
    "working_set": 0.25,
    "peak": 0.75,
    "window": 60.0,
    "alpha": 0.8,
    "written": 0.3,
    "burst_every": 300.0,
    "burst": 57.0,
    "busy": 0.2,
    "busy_peak": 0.8,
    "loop": "open",
}
DETAIL = {"name": "zipf"}
BANDS = 24  #: runs of pages of about the same rate, the hottest first


def check(**options: float | str) -> None:
    """Refuse what can't be."""
    if options["loop"] not in LOOPS:
        raise ConfigError("workload.loop", options["loop"], "is none of its values", LOOPS)
    for key in ("seconds", "step", "window", "burst"):
        if not float(options[key]) > 0:
            raise ConfigError(f"workload.{key}", options[key], "must be above 0")
    for key in ("working_set", "peak", "written", "busy", "busy_peak"):
        if not 0 <= float(options[key]) <= 1:
            raise ConfigError(f"workload.{key}", options[key], "is a share, from 0 to 1")
    if not float(options["seconds"]) / float(options["step"]) <= 1e6:
        raise ConfigError("workload.step", options["step"], "makes more than a million steps")


def touched(rate: Any, size: Any, time: float) -> Any:
    """Pages of each band that are touched in a time."""
    return size * -np.expm1(-rate * time)


def rate_for(wanted: float, weight: NDArray[np.float64], size: NDArray[np.int64], window: float) -> float:
    """By what to multiply weights so that ``wanted`` pages are touched in a window; bisection on a monotone function."""
    low, high = -60.0, 60.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if touched(weight * np.exp(middle), size, window).sum() < wanted else (low, middle)
    return float(np.exp(low))


def bursts(seconds: float, every: float, length: float, seed: int) -> NDArray[np.float64]:
    """Begin and end of each burst, as rows; none where ``every`` is 0."""
    if every <= 0:
        return np.zeros((0, 2))
    count = int(4 * seconds / every) + 16
    gaps, lengths = (-np.log1p(-unit(draws(seed, stream, 0, count))) * mean for stream, mean in ((21, every), (22, length)))
    begin = np.cumsum(gaps) + np.cumsum(lengths) - lengths
    found = np.stack([begin, begin + lengths], axis=1)
    return found[begin < seconds]


def at_peak(times: NDArray[np.float64], found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of each step that is in a burst."""
    inside = np.minimum(times[1:, None], found[:, 1]) - np.maximum(times[:-1, None], found[:, 0])
    return np.asarray(np.minimum(np.maximum(inside, 0).sum(axis=1) / np.diff(times), 1.0))


def bands(pages: int) -> tuple[Any, Any]:
    """First rank and size of each band; sizes grow as ranks do."""
    edges = np.unique(np.round(np.geomspace(1, pages + 1, BANDS + 1)).astype(np.int64)) - 1
    return edges[:-1], np.diff(edges)


def make(
    asked: Asked,
    seconds: float,
    step: float,
    working_set: float,
    peak: float,
    window: float,
    alpha: float,
    written: float,
    burst_every: float,
    burst: float,
    busy: float,
    busy_peak: float,
    loop: str,
) -> Life:
    """The life of one VM."""
    steps = max(1, round(seconds / step))
    times: Any = np.arange(steps + 1) * float(step)
    burstiness = at_peak(times, bursts(times[-1], burst_every, burst, asked.seed + asked.vm))
    first, size = bands(asked.pages)
    weight = (first + (size + 1) / 2) ** -alpha
    usual, most = (rate_for(share * asked.pages, weight, size, window) for share in (working_set, peak))
    rate = usual + burstiness[:, None] * (most - usual)
    visits = np.rint(touched(weight * rate, size, step)).astype(np.int64)
    extents = np.zeros((steps, first.size), EXTENT)
    extents["step"] = np.arange(steps)[:, None]
    extents["first"], extents["pages"], extents["visits"] = first, size, visits
    extents["written"] = np.round(size * written)
    busy_of = asked.vcpus * (busy + burstiness * (busy_peak - busy))
    used = extents[visits > 0]
    return Life(asked.pages, times, busy_of, used, np.zeros(0, FREED), "closed" if loop == "closed" else "open")
