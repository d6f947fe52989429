"""The node of the CPU that touches the page first: Linux's default (mm/mempolicy.c, MPOL_DEFAULT)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.memory.placement import choose_node
from memvirt.typing import Int


class State(NamedTuple):
    """Nothing to remember."""

    unused: NDArray[np.int64]


def make() -> State:
    """State of the policy."""
    return State(np.zeros(1, np.int64))


@choose_node.register
def _choose_node(state: State, cpu_node: Int, nodes: Int) -> Int:
    return cpu_node
