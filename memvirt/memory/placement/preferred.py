"""One node, whoever touches the page, and the next in its fallback order where that is full (Linux's MPOL_PREFERRED)."""

from __future__ import annotations

from memvirt.memory.placement._turns import Turns, make_turns
from memvirt.memory.topology import check_node


def make(nodes: int, node: int = 0) -> Turns:
    """State of the policy."""
    return make_turns([check_node("numa.placement.node", node, nodes)])
