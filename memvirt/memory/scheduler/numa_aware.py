"""Each period a vCPU goes to the node that holds most of what it accessed of late, if that gains more than what it leaves behind.

CPUs are weighed by other vCPUs that want to run there, one each, and by the share of the vCPU's accesses that would be remote
(`memory`); those of a period ago count half. Where nothing is remote it moves vCPUs only away from each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memvirt.memory.options import a_part, a_period
from memvirt.memory.scheduler._moves import Moves, make_moves
from memvirt.memory.scheduler._start import start_as


def assign(
    vcpus: list[int],
    nodes: int,
    cpus_per_node: int,
    start: str = "packed",
    period: Any = "10ms",
    memory: float = 0.8,
    gain: float = 0.1,
) -> NDArray[np.int64]:
    """Physical CPU of each vCPU at the start."""
    return start_as(start, vcpus, nodes, cpus_per_node)


def make(vcpus: list[int], cpus: int, start: str = "packed", period: Any = "10ms", memory: float = 0.8, gain: float = 0.1) -> Moves:
    """State of the policy.

    ``memory``: what memory all of which is remote counts for, of a CPU's time shared with one other: about what it takes longer.
    ``gain``: the least that a move must gain.
    """
    weigh = a_part("numa.scheduler.memory", memory, "a CPU's time that remote memory counts for")
    least = a_part("numa.scheduler.gain", gain, "a CPU's time that a move must gain")
    return make_moves(cpus, a_period("numa.scheduler.period", period), memory=weigh, gain=least)
