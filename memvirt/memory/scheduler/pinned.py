"""Each vCPU on the CPU that is said, for good; or until a time at which all go to others, as an operator's hand moves a VM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import ConfigError
from memvirt.memory.options import a_period
from memvirt.memory.scheduler._moves import Moves, make_moves

KEY = "numa.scheduler"


def _check(key: str, cpus: Any, most: int) -> None:
    """Refuse CPUs that there aren't."""
    right = isinstance(cpus, Sequence) and not isinstance(cpus, str) and len(cpus) > 0
    if not right or not all(isinstance(cpu, int) and 0 <= cpu < most for cpu in cpus):
        raise ConfigError(f"{KEY}.{key}", cpus, f"must list CPUs, 0 to {most - 1}, for all vCPUs in turn")


def assign(
    vcpus: list[int],
    nodes: int,
    cpus_per_node: int,
    cpus: Sequence[int] = (0,),
    then: Sequence[int] | None = None,
    at: Any = None,
) -> NDArray[np.int64]:
    """Physical CPU of each vCPU: ``cpus`` in turn, over all VMs' vCPUs.

    Raises
    ------
    ConfigError
        If there is no such CPU.
    """
    _check("cpus", cpus, nodes * cpus_per_node)
    if then is not None:
        _check("then", then, nodes * cpus_per_node)
    return np.resize(np.array(cpus, np.int64), sum(vcpus))


def moves(at: Any = None, **_: Any) -> bool:
    """Whether vCPUs are moved."""
    return at is not None


def make(vcpus: list[int], count: int, /, then: Sequence[int] | None = None, at: Any = None, **_: Any) -> Moves:
    """State of the policy: vCPUs are on ``then`` in turn from the time ``at`` on.

    Raises
    ------
    ConfigError
        If only one of the two is given.
    """
    if (then is None) != (at is None):
        key, value = ("at", at) if at is None else ("then", then)
        raise ConfigError(f"{KEY}.{key}", value, "must be set where the other of `then` and `at` is")
    moves = make_moves(count) if at is None else make_moves(count, a_period(f"{KEY}.at", at))
    return moves if then is None else moves._replace(then=np.resize(np.array(then, np.int64), sum(vcpus)))
