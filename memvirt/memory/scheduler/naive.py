"""A balance of load that is blind to memory: each period a vCPU goes to the idlest CPU, if that is idler than its own is with it.

What a vCPU leaves behind is not looked at: neither its data, nor its tables, nor what TLBs and caches hold. So where CPUs idle
vCPUs wander, as they do under schedulers whose idle CPUs take what there is to run (Xen's credit scheduler: Rao et al., HPCA'13).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memvirt.memory.options import a_period
from memvirt.memory.scheduler._moves import Moves, make_moves
from memvirt.memory.scheduler._start import start_as


def assign(vcpus: list[int], nodes: int, cpus_per_node: int, start: str = "packed", period: Any = "10ms") -> NDArray[np.int64]:
    """Physical CPU of each vCPU at the start."""
    return start_as(start, vcpus, nodes, cpus_per_node)


def make(vcpus: list[int], cpus: int, start: str = "packed", period: Any = "10ms") -> Moves:
    """State of the policy; a vCPU counts for one on its own CPU, so that an empty one is better."""
    return make_moves(cpus, a_period("numa.scheduler.period", period), own=1.0)
