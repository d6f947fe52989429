"""CPU time that a kernel takes to reclaim pages, the host's or a guest's, and who waits for it.

A page is taken out of the tables and the caches at `clock.reclaim_page`, and written out, if it must be, at `clock.swap_out_page`;
compressing has its own price. Within a fault (direct reclaim) that is time for which the vCPU waits for memory, as PSI has it
(mm/vmscan.c, `psi_memstall_enter`), where `clock.reclaim_waits`; what goes on beside the VMs (kswapd, a daemon) takes a CPU of the
host's.
"""

from __future__ import annotations

import numpy as np

from memvirt.counters import Counter
from memvirt.jit import inner
from memvirt.memory.state import World
from memvirt.typing import Int

COUNTERS = (
    Counter("host_reclaiming_ns", "ns", doc="CPU time of the host's kernel that takes pages and writes them out"),
    Counter("guest_reclaiming_ns", "ns", doc="CPU time of the guest's kernel that pages out"),
)


@inner
def holds_up(world: World, ns: float) -> None:
    """Have who faults wait for what is done on the way, if it does."""
    world.clock[0].reclaimed_ns += ns * world.rules[0].reclaim_waits


@inner
def host_reclaims(world: World, vm: Int, ns: float) -> None:
    """Charge the host's kernel for what it does to a VM's page."""
    world.counts[vm, np.int64(world.vms[vm].epoch)].host_reclaiming_ns += np.int64(ns)
    holds_up(world, ns)


@inner
def guest_reclaims(world: World, vm: Int, ns: float) -> None:
    """Charge a guest's kernel for what it does to a page of its own."""
    world.counts[vm, np.int64(world.vms[vm].epoch)].guest_reclaiming_ns += np.int64(ns)
    holds_up(world, ns)
