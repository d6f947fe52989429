"""Page traces that the real Linux kernel was made to replay while its memory was short: a prefill in page order, then the pattern.

The first four are carried over from the project's fidelity notes (`SWAP_TRACES`), the rest came with `experiment=linux_swap`. They
are drawn by numpy's generators, so that the kernel's and the simulator's are the same to the bit. Every access is a write.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import ConfigError
from memvirt.types import WRITE
from memvirt.workload.synthetic import below, draws

OPTIONS = {"pattern": "zipf09"}
DEPENDENCE = 0.0  #: the tool reads page numbers from an array
PAGES = 16384  #: of the region that was replayed


def _zipf(alpha: float, seed: int, size: int, pages: int = PAGES) -> Any:
    rng = np.random.default_rng(seed)
    cumulative = np.cumsum(np.arange(1, pages + 1.0) ** -alpha)
    order = rng.permutation(pages)
    return order[np.minimum(np.searchsorted(cumulative / cumulative[-1], rng.random(size)), pages - 1)]


def _uniform(seed: int, size: int, pages: int = PAGES) -> Any:
    return np.random.default_rng(seed).integers(0, pages, size)


def _mostly(seed: int, share: float, some: Any, others: Any) -> Any:
    return np.where(np.random.default_rng(seed).random(others.size) < share, some, others)


def _scan(size: int, first: int = 0) -> Any:
    return first + np.arange(size) % (PAGES - first)


def _hot_and_scan(seeds: tuple[int, int], size: int, share: float, hot: int) -> Any:
    return _mostly(seeds[0], share, _uniform(seeds[1], size, hot), _scan(size, hot))


def _scan50_or_95(seed: int, size: int, share: float, hot: int) -> Any:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(size) < share, rng.integers(0, hot, size), _scan(size, hot))


def _hotmove(size: int) -> Any:
    rng = np.random.default_rng(21)
    stays = rng.random(size) < 0.9
    window = (np.arange(size) // 16 + rng.integers(0, 5000, size)) % PAGES
    return np.where(stays, window, rng.integers(0, PAGES, size))


def _sawtooth(size: int) -> Any:
    turn, place = np.divmod(np.arange(size), PAGES)
    return np.where(turn % 2 == 0, place, PAGES - 1 - place)


def _twoloops(size: int) -> Any:
    turn, which = np.divmod(np.arange(size), 2)
    return np.where(which == 0, turn % 4000, 4000 + turn % 10_000)


def _burst(size: int) -> Any:
    parts = [(part, np.arange(8000, PAGES)) for part in np.split(_zipf(0.8, 24, size, 8000), size // 40_000)]
    return np.concatenate([half for part in parts for half in part])


#: Each by its formula; what they are is said in the experiment's README.
PATTERNS = {
    "zipf09": lambda: _zipf(0.9, 1, 400_000),
    "uniform": lambda: _uniform(3, 200_000),
    "cyclic": lambda: np.arange(6 * PAGES) % PAGES,
    "hotscan": lambda: _hot_and_scan((4, 5), 300_000, 0.8, 4096),
    "loop10000": lambda: np.arange(80_000) % 10_000,
    "loop13000": lambda: np.arange(91_000) % 13_000,
    "loop14000": lambda: np.arange(84_000) % 14_000,
    "phases": lambda: (np.arange(240_000) // 40_000 * 2731 + _uniform(11, 240_000, 6000)) % PAGES,
    "scan50": lambda: _scan50_or_95(12, 200_000, 0.5, 4096),
    "scan95": lambda: _scan50_or_95(13, 400_000, 0.95, 8192),
    "loopzipf": lambda: _mostly(14, 0.3, np.arange(200_000) % 12_000, _zipf(0.99, 15, 200_000)),
    "sawtooth": lambda: _sawtooth(6 * PAGES),
    "twoloops": lambda: _twoloops(160_000),
    "hotmove": lambda: _hotmove(200_000),
    "grow": lambda: np.random.default_rng(22).random(240_000) * np.where(np.arange(240_000) // 30_000 % 2 == 0, 6000, 14_000) // 1,
    "zipfscan": lambda: _mostly(23, 0.7, _zipf(1.1, 25, 250_000), _scan(250_000)),
    "burst": lambda: _burst(200_000),
}


def pages_of(pattern: str) -> NDArray[np.uint32]:
    """Page numbers of a pattern, as the kernel replayed them, without the prefill.

    Raises
    ------
    ConfigError
        If there is no such pattern.
    """
    if pattern not in PATTERNS:
        raise ConfigError("workload.pattern", pattern, "there is no such pattern", list(PATTERNS))
    return PATTERNS[pattern]().astype(np.uint32)  # type: ignore[no-untyped-call,no-any-return]


def make(pages: int, seed: int, pattern: str) -> Any:
    """Accesses of the workload, over and over if more are asked for than there are; the seed chooses lines only."""
    numbers = np.concatenate([np.arange(PAGES, dtype=np.uint32), pages_of(pattern)]) % np.uint32(pages)

    def generate(first: int, last: int) -> Any:
        line = below(draws(seed, 1, first, last), 64).astype(np.uint8) | np.uint8(WRITE)
        return numbers[np.arange(first, last) % numbers.size], line

    return generate
