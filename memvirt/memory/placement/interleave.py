"""Round robin over the nodes, page by page (Linux's MPOL_INTERLEAVE)."""

from __future__ import annotations

from memvirt.memory.placement._turns import Turns, make_turns


def make(nodes: int) -> Turns:
    """State of the policy."""
    return make_turns(range(nodes))
