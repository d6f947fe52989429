"""What `experiments/linux_ksm/measure.c` does to its pages: bursts of writes to pages that an LCG picks, with pauses before each.

A burst is a read and ``writes`` writes. There is one each `workload.idle_time`, for ``seconds``; or one for each row of the CSV
`workload.path` (`memvirt.workload.schedule`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt.errors import ConfigError
from memvirt.types import WRITE
from memvirt.workload.schedule import read_schedule

OPTIONS = {"writes": 0, "seconds": 3.0}
DEPENDENCE = 0.0  #: pages are written in order
READS_FILE = read_schedule
A, FIRST = 6364136223846793005, 9  #: the LCG's factor, and the number that it begins with; it adds 1


def burst(writes: int, seconds: float) -> int:
    """Accesses from one pause to the next."""
    return int(writes) + 1


def accesses(path: str | None, pause_ns: float, writes: int, seconds: float) -> int:
    """How many accesses there are."""
    if not path and pause_ns < 1e3:
        raise ConfigError("workload.idle_time", pause_ns, "must be 1us at the least: how often ksm_tool writes")
    bursts = len(read_schedule(path)) if path else max(1, round(seconds * 1e9 / pause_ns))
    return bursts * burst(writes, seconds)


def lcg(first: int, last: int) -> Any:
    """Numbers ``first`` to ``last`` of the LCG."""
    jump = (pow(A, first + 1, (A - 1) << 64) - 1) // (A - 1)
    start = (pow(A, first + 1, 1 << 64) * FIRST + jump) % (1 << 64)
    factor = np.full(max(last - first, 1), A, np.uint64)
    factor[0] = 1
    factor = np.cumprod(factor)  # wraps, as the LCG does
    added = np.concatenate([np.zeros(1, np.uint64), np.cumsum(factor[:-1])])
    return (factor * np.uint64(start) + added)[: last - first]


def make(pages: int, seed: int, writes: int, seconds: float) -> Any:
    """Accesses of the workload."""
    writes = int(writes)

    def generate(first: int, last: int) -> Any:
        at = np.arange(first, last)
        number, place = np.divmod(at, writes + 1)
        written = number * writes + place - 1  # before the first of a burst stands its read
        low = max(first // (writes + 1) * writes - 1, 0)
        drawn = lcg(low, max(int(written.max(initial=0)) + 1, low + 1))
        page = (drawn[np.maximum(written - low, 0)] >> np.uint64(33)) % np.uint64(pages)
        is_write = place > 0
        return np.where(is_write, page, 0).astype(np.uint32), np.where(is_write, WRITE, 0).astype(np.uint8)

    return generate
