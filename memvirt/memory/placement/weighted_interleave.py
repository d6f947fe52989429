"""Round robin over the nodes, each of which gets as many pages in a row as its weight (Linux 6.9's MPOL_WEIGHTED_INTERLEAVE)."""

from __future__ import annotations

from collections.abc import Sequence

from memvirt.errors import ConfigError
from memvirt.memory.placement._turns import Turns, make_turns

MOST = 255  #: the largest weight, as the kernel has it in a byte


def make(nodes: int, weights: Sequence[int] | None = None) -> Turns:
    """State of the policy.

    Parameters
    ----------
    nodes : int
    weights : sequence of int, optional
        Of each node, 0 to 255; 1 each if not given.

    Raises
    ------
    ConfigError
        If there isn't one for each node, or all are 0.
    """
    given = [1] * nodes if weights is None else weights
    right = (
        isinstance(given, Sequence)
        and len(given) == nodes
        and all(isinstance(each, int) and 0 <= each <= MOST for each in given)
        and any(given)
    )
    if not right:
        why = f"must be a weight of 0 to {MOST} for each of the {nodes} nodes, not all 0"
        raise ConfigError("numa.placement.weights", weights, why)
    return make_turns([node for node, weight in enumerate(given) for _ in range(weight)])
