"""Which physical CPU runs which vCPU: one file a policy.

``assign(vcpus, nodes, cpus_per_node, **options)`` takes the number of vCPUs of each VM and returns the physical
CPU of every vCPU, VM after VM, as an int64 array. CPUs ``n * cpus_per_node`` and on are node ``n``'s.
Where several vCPUs share a CPU they take turns of `numa.slice`. A policy that moves vCPUs meanwhile has
``make(vcpus, cpus, **options)`` as well, which gives the state of its verb; the others' vCPUs stay where they were put. If
only some options have it do so, ``moves(**options)`` says whether these do.
"""

from __future__ import annotations

from typing import Any

from memvirt.policy import verb

FAMILY = "memory.scheduler"


@verb
def rebalance(state: Any, world: Any, now: Any) -> float:
    """Move vCPUs (`memvirt.memory.scheduler._moves.move_vcpu`) or leave them; returns when to look again (ns)."""
    raise NotImplementedError(type(state))
