"""A working set that swells in bursts: pages are used by Zipf's law, so that the longer one looks, the more of them are touched.

A share ``touched`` of the footprint is filled at first, in ``fill``, the coldest pages first: a VM that has been up for a while
holds what it ever touched. Then in a step each of these pages is touched with the chance 1 - exp(-its rate × the step), rates
going by rank ** -alpha, so set that ``working_set`` of the footprint is touched in ``window`` on average (Denning, CACM 1968), and
in a burst ``peak`` of it in ``peak_window``.

Bursts begin by chance, ``burst_every`` apart on average; their lengths are exponential with a mean of ``burst``: 88 % of 57 s are
over within two minutes, as overloads are (Williams et al., Overdriver, VEE'11). Every ``phase`` the working set moves on by a
share ``moves`` of the pages, and a share ``scratch`` of them, the coldest at first, is freed, to be filled again in the phase's
first half. Over a ``day`` rates and load go down to a share ``night`` and up again. Writes fall on a share ``written`` of the
pages alone.

A share ``cache`` of what is touched are files' pages, the guest's page cache: those that are used least (``cache_use`` is
``coldest``), since files' pages are colder than programs' own (Maruf et al., TPP, ASPLOS'23, section 3), or ``even``: the last of
each region of 2 MiB, used and written as often as the others.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt.errors import ConfigError
from memvirt.workload.life import FILES, FREED, LOOPS, NO_FILES, REGION, Asked, Life
from memvirt.workload.life._shape import bands, bursts, extents, inside, rate_for, rotated, touched, weights

OPTIONS: dict[str, Any] = {
    "seconds": 720.0,
    "fill": 100.0,
    "step": 10.0,
    "touched": 1.0,
    "working_set": 0.25,
    "peak": 0.75,
    "window": 60.0,
    "peak_window": 60.0,
    "alpha": 0.8,
    "written": 0.3,
    "cache": 0.0,
    "cache_use": "coldest",
    "burst_every": 300.0,
    "burst": 57.0,
    "phase": 0.0,
    "moves": 0.0,
    "scratch": 0.0,
    "day": 0.0,
    "night": 0.3,
    "busy": 0.2,
    "busy_peak": 0.8,
    "loop": "open",
}
DETAIL = {"name": "zipf"}
MOST_STEPS = 100_000
USES = ("coldest", "even")


def check(**options: Any) -> None:
    """Refuse what can't be.

    Raises
    ------
    ConfigError
    """
    if options["loop"] not in LOOPS:
        raise ConfigError("workload.loop", options["loop"], "is none of its values", LOOPS)
    if options["cache_use"] not in USES:
        raise ConfigError("workload.cache_use", options["cache_use"], "is none of its values", USES)
    for key in ("seconds", "step", "window", "peak_window", "burst"):
        if not options[key] > 0:
            raise ConfigError(f"workload.{key}", options[key], "must be above 0")
    for key in ("touched", "working_set", "peak", "written", "cache", "moves", "scratch", "night", "busy", "busy_peak"):
        if not 0 <= options[key] <= 1:
            raise ConfigError(f"workload.{key}", options[key], "is a share, from 0 to 1")
    for key in ("working_set", "peak"):
        if options[key] > options["touched"]:
            raise ConfigError(f"workload.{key}", options[key], f"is more than is ever touched, {options['touched']}")
    if options["seconds"] / options["step"] > MOST_STEPS:
        raise ConfigError("workload.step", options["step"], f"makes more than {MOST_STEPS:,} steps")


def make(asked: Asked, **options: Any) -> Life:
    """The life of one VM."""
    step = float(options["step"])
    steps = max(1, round(options["seconds"] / step))
    times = np.arange(steps + 1) * step
    held = max(1, round(options["touched"] * asked.pages))
    bursty = inside(times, bursts(times[-1], options["burst_every"], options["burst"], asked.seed + asked.vm))
    first, size = bands(held)
    weight = weights(first, size, options["alpha"])
    usual, most = (
        rate_for(options[key] * asked.pages, weight, size, options[window])
        for key, window in (("working_set", "window"), ("peak", "peak_window"))
    )
    load = np.ones(steps)
    if options["day"] > 0:
        load = 1 - (1 - options["night"]) * (1 - np.cos(2 * np.pi * times[:-1] / options["day"])) / 2
    rate = load * (usual + bursty * (most - usual))
    filling = min(int(np.ceil(options["fill"] / step)), steps)
    number = np.arange(filling, steps)
    rows = extents(number[:, None], first, size, size * options["written"], touched(weight * rate[filling:, None], size, step))
    phase = options["phase"]
    phases = (times[rows["step"]] // phase).astype(np.int64) if phase > 0 else np.zeros(rows.size, np.int64)
    rows = rotated(rows, phases * round(options["moves"] * held), held)
    scratch, freed = _scratch(times, held, phase, options["scratch"])
    busy = asked.vcpus * load * (options["busy"] + bursty * (options["busy_peak"] - options["busy"]))
    every = np.concatenate([_filling(filling, first, size, options["written"]), rows, scratch])
    every = every[np.argsort(every["step"], kind="stable")]
    return Life(asked.pages, times, busy, every, freed, options["loop"], _files(held, options["cache"], options["cache_use"]))


def _files(held: int, share: float, use: str) -> Any:
    """Runs of files' pages, a ``share`` of those that are held: the last of all, or the last of each region."""
    if use == "coldest":
        size = round(share * held)
        return np.array([(held - size, size)] if size else [], FILES)
    size = round(share * REGION)
    if not size:
        return NO_FILES
    first = np.arange(REGION - size, held, REGION)
    files = np.zeros(first.size, FILES)
    files["first"], files["pages"] = first, np.minimum(size, held - first)
    return files


def _filling(steps: int, first: Any, size: Any, written: float) -> Any:
    """Each page once, over the first steps, from the last band to the first."""
    if not steps:
        return extents(0, 0, 0, 0, 0)
    edges = np.rint(np.linspace(0, int(size.sum()), steps + 1)).astype(np.int64)
    cuts = np.union1d(edges, first)
    begin, pages = cuts[:-1], np.diff(cuts)
    band = np.searchsorted(first, begin, side="right") - 1
    dirty = np.clip(first[band] + np.rint(size[band] * written) - begin, 0, pages)
    return extents(steps - np.searchsorted(edges, begin, side="right"), begin, pages, dirty, pages)


def _scratch(times: Any, held: int, phase: float, share: float) -> tuple[Any, Any]:
    """What is filled, page after page and written, in each phase but the first, and what is freed where one begins."""
    pages = round(share * held)
    if phase <= 0 or pages == 0:
        return extents(0, 0, 0, 0, 0), np.zeros(0, FREED)
    number = np.floor(times[:-1] / phase)
    starts = np.flatnonzero(np.diff(number, prepend=0) > 0)
    freed = np.zeros(starts.size, FREED)
    freed["step"], freed["first"], freed["pages"] = starts, held - pages, pages
    begin, end = (np.rint(np.clip(2 * (time / phase - number), 0, 1) * pages) for time in (times[:-1], times[1:]))
    size = np.where(number > 0, end - begin, 0)
    return extents(np.arange(size.size), held - pages + begin, size, size, size), freed
