"""Each vCPU on the CPU that is said, for good."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import ConfigError

KEY = "numa.scheduler.cpus"


def assign(vcpus: list[int], nodes: int, cpus_per_node: int, cpus: Sequence[int] = (0,)) -> NDArray[np.int64]:
    """Physical CPU of each vCPU: ``cpus`` in turn, over all VMs' vCPUs.

    Raises
    ------
    ConfigError
        If there is no such CPU.
    """
    most = nodes * cpus_per_node
    right = isinstance(cpus, Sequence) and not isinstance(cpus, str) and len(cpus) > 0
    if not right or not all(isinstance(cpu, int) and 0 <= cpu < most for cpu in cpus):
        raise ConfigError(KEY, cpus, f"must list CPUs, 0 to {most - 1}, for all vCPUs in turn")
    return np.resize(np.array(cpus, np.int64), sum(vcpus))
