"""On which NUMA node a new page goes: one file a policy, one verb; ``make(nodes, **options)`` makes its state.

A full node passes the page on to the next one in its fallback order (`memvirt.memory.topology.fallback_order`), as far as the
policy (`allowed_nodes`) and `vms.nodes` let the page be there.
"""

from __future__ import annotations

from typing import Any

from memvirt.policy import verb
from memvirt.typing import Int

FAMILY = "memory.placement"
EVERY = -1  #: nodes as bits, all of them


@verb
def choose_node(state: Any, cpu_node: Int, nodes: Int) -> Int:
    """Name the node for a page that a CPU of ``cpu_node`` is the first to touch."""
    raise NotImplementedError(type(state))


@verb
def allowed_nodes(state: Any) -> Int:
    """Nodes that a page may be on, a bit each; all of them unless the policy is strict."""
    return EVERY
