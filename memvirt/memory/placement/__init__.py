"""On which NUMA node a new page goes: one file a policy, one verb.

A full node passes the page on to the next one (the order of Linux's zone fallback where all other
nodes are equally far).
"""

from __future__ import annotations

from typing import Any

from memvirt.policy import verb
from memvirt.typing import Int

FAMILY = "memory.placement"


@verb
def choose_node(state: Any, cpu_node: Int, nodes: Int) -> Int:
    """Name the node for a page that a CPU of ``cpu_node`` is the first to touch."""
    raise NotImplementedError(type(state))
