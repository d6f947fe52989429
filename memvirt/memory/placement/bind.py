"""The node of the CPU that touches the page first, or the next in its fallback order, of those allowed (Linux's MPOL_BIND)."""

from __future__ import annotations

from collections.abc import Sequence

from memvirt.memory.placement._turns import OF_CPU, Turns, make_turns
from memvirt.memory.topology import as_bits


def make(nodes: int, nodes_allowed: Sequence[int] = (0,)) -> Turns:
    """State of the policy; ``nodes_allowed``: those that pages may be on."""
    return make_turns([OF_CPU], as_bits("numa.placement.nodes_allowed", nodes_allowed, nodes))
