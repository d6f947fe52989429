"""A linked list of nodes ``stride`` bytes apart in random order, followed round and round: a random single cycle, a line a node.

With a stride of a page each node has a page of its own, as in the latency tables of InstLatX64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt.config import parse_size
from memvirt.errors import ConfigError
from memvirt.workload.synthetic import draws

OPTIONS: dict[str, Any] = {"stride": "64"}
DEPENDENCE = 1.0  #: each access reads where the next one goes


def check(stride: int | str) -> None:
    """Refuse nodes that would share a line.

    Raises
    ------
    ConfigError
    """
    try:
        size = parse_size(stride)
    except ValueError as wrong:
        raise ConfigError("workload.stride", stride, str(wrong)) from None
    if size < 64 or size % 64:
        raise ConfigError("workload.stride", stride, "must be a multiple of 64 bytes, a line")


def make(pages: int, seed: int, stride: int | str) -> Any:
    """Accesses of the workload."""
    lines = parse_size(stride) >> 6
    order = np.argsort(draws(seed, 0, 0, -(-pages * 64 // lines)), kind="stable") * lines

    def generate(first: int, last: int) -> Any:
        line = order[np.arange(first, last) % order.size]
        return (line >> 6).astype(np.uint32), (line & 63).astype(np.uint8)

    return generate
