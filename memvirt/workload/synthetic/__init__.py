"""Synthetic workloads: one file each.

A file has ``OPTIONS``, the defaults of its own keys, and ``make(pages, seed, **options)``, which returns a function
``(first, last) -> (page, line)`` of uint32 page numbers below ``pages`` and uint8 lines, with `memvirt.types.WRITE`
for writes. The function must be pure: accesses ``first`` to ``last`` are the same whichever others were asked for.
`draws` gives such random numbers.

It may have, besides, ``DEPENDENCE``, the share of its accesses whose address depends on what the access before has read (left
out where it stands for programs that differ in that); ``check(**options)``, which refuses values of its keys; ``READS_FILE``,
which checks the file that `workload.path` names; ``accesses(path, pause_ns, **options)``, how many there are unless
`workload.accesses` says; and ``burst(**options)``, how many come before each `workload.idle_time`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memvirt.random import scramble

FAMILY = "workload.synthetic"
MOST_STEPS = 1 << 20  #: of the table of `Ranks`
MOST_LOOKS = 8  #: at ranks one after the other


def draws(seed: int, stream: int, first: int, last: int) -> NDArray[np.uint64]:
    """Random 64-bit numbers ``first`` to ``last`` of a stream: splitmix64 of a counter, so any part can be made alone.

    Parameters
    ----------
    seed, stream : int
        Tell independent sequences apart.
    first, last : int
        Half-open range.
    """
    key = scramble(np.array([(seed * 0x10001 + stream) % (1 << 64)], np.uint64) + np.uint64(0x632BE59BD9B4E019))
    counter = np.arange(first, last, dtype=np.uint64)
    numbers: NDArray[np.uint64] = scramble(counter * np.uint64(0x9E3779B97F4A7C15) + key)
    return numbers


def unit(numbers: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Make numbers in [0, 1) of 64-bit ones."""
    return (numbers >> np.uint64(11)).astype(np.float64) / 2.0**53


def below(numbers: NDArray[np.uint64], limit: int) -> NDArray[np.uint64]:
    """Make numbers below ``limit`` of 64-bit ones."""
    return numbers % np.uint64(limit)


def with_writes(line: NDArray[np.uint64], numbers: NDArray[np.uint64], share: float) -> NDArray[np.uint8]:
    """Mark a random share of lines as written."""
    return (line | np.where(unit(numbers) < share, np.uint64(0x80), np.uint64(0))).astype(np.uint8)


class Ranks:
    """Which rank numbers fall to: what `numpy.searchsorted` finds, from a table of where to begin to look.

    The indexed search of Chen and Asau, "On generating random variates from an empirical distribution", AIIE Transactions 6, 1974.

    Parameters
    ----------
    cumulative : (ranks,) float64
        Ascending, the last one about 1.
    """

    def __init__(self, cumulative: NDArray[np.float64]) -> None:
        self._steps = min(1 << (4 * cumulative.size - 1).bit_length(), MOST_STEPS)  # a power of two: so is no number rounded
        self._begin = np.searchsorted(cumulative, np.arange(self._steps) / self._steps)
        self._cumulative = np.append(cumulative, np.inf)

    def __call__(self, number: NDArray[np.float64]) -> NDArray[np.int64]:
        """Find the first rank whose cumulative chance isn't below each number of [0, 1)."""
        rank: NDArray[np.int64] = self._begin[(number * self._steps).astype(np.int64)]
        beyond = np.flatnonzero(self._cumulative[rank] < number)
        for _ in range(MOST_LOOKS):
            rank[beyond] += 1
            beyond = beyond[self._cumulative[rank[beyond]] < number[beyond]]
        rank[beyond] = np.searchsorted(self._cumulative, number[beyond])  # many rare ranks stand in one step
        return rank
