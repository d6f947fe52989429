"""Nodes that take turns, which is what all of Linux's placements come to: one state, so that kernels are compiled once for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.memory.placement import EVERY, allowed_nodes, choose_node
from memvirt.typing import Int

OF_CPU = -1  #: a turn of the node whose CPU touches the page


class Turns(NamedTuple):
    """Whose turn it is.

    Attributes
    ----------
    nodes : (turns,) int64
        A node, or `OF_CPU`, for each page of a round.
    turn : (2,) int64
        Place of whose turn it is, and the nodes that pages may be on, a bit each.
    """

    nodes: NDArray[np.int64]
    turn: NDArray[np.int64]


def make_turns(nodes: Sequence[int], allowed: int = EVERY) -> Turns:
    """State whose first turn is the first."""
    return Turns(np.array(nodes, np.int64), np.array([0, allowed], np.int64))


@choose_node.register
def _choose_node(state: Turns, cpu_node: Int, nodes: Int) -> Int:
    node = state.nodes[state.turn[0]]
    state.turn[0] = (state.turn[0] + 1) % state.nodes.size
    return cpu_node if node < 0 else node  # type: ignore[no-any-return]


@allowed_nodes.register
def _allowed_nodes(state: Turns) -> Int:
    return int(state.turn[1])
