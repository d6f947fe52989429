"""Round robin over the nodes, page by page (Linux's MPOL_INTERLEAVE)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.memory.placement import choose_node
from memvirt.typing import Int


class State(NamedTuple):
    """The node whose turn it is."""

    turn: NDArray[np.int64]


def make() -> State:
    """State of the policy."""
    return State(np.zeros(1, np.int64))


@choose_node.register
def _choose_node(state: State, cpu_node: Int, nodes: Int) -> Int:
    node = state.turn[0] % nodes
    state.turn[0] = node + 1
    return node  # type: ignore[no-any-return]
