"""Where a scheduler that moves vCPUs puts them at first: as one that doesn't."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import ConfigError
from memvirt.policy import load

STARTS = ("packed", "spread")


def start_as(start: str, vcpus: list[int], nodes: int, cpus_per_node: int) -> NDArray[np.int64]:
    """Physical CPU of each vCPU at the start.

    Raises
    ------
    ConfigError
        If there is no such start.
    """
    if start not in STARTS:
        raise ConfigError("numa.scheduler.start", start, "is none of its values", STARTS)
    places: NDArray[np.int64] = load("memory.scheduler", start).assign(vcpus, nodes, cpus_per_node)
    return places
