"""A linked list of nodes ``stride`` bytes apart in random order, followed round and round: a random single cycle.

With a stride of a page each node has a page of its own, as in the latency tables of InstLatX64; below 64, nodes share lines.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt.config import parse_size
from memvirt.errors import ConfigError
from memvirt.workload.synthetic import draws

POINTER = 8
OPTIONS: dict[str, Any] = {"stride": "64"}
DEPENDENCE = 1.0  #: each access reads where the next one goes


def check(stride: int | str) -> None:
    """Refuse nodes that a pointer doesn't fit in.

    Raises
    ------
    ConfigError
    """
    try:
        size = parse_size(stride)
    except ValueError as wrong:
        raise ConfigError("workload.stride", stride, str(wrong)) from None
    if size < POINTER:
        raise ConfigError("workload.stride", stride, f"must be {POINTER} bytes, a pointer, or more")


def make(pages: int, seed: int, stride: int | str) -> Any:
    """Accesses of the workload."""
    size = parse_size(stride)
    order = np.argsort(draws(seed, 0, 0, max(1, pages * 4096 // size)), kind="stable") * size >> 6

    def generate(first: int, last: int) -> Any:
        line = order[np.arange(first, last) % order.size]
        return (line >> 6).astype(np.uint32), (line & 63).astype(np.uint8)

    return generate
