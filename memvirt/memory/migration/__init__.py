"""Whether data move to the node of the vCPU that uses them: one file a policy.

A policy scans memory in the background (`scan_pages`), which makes pages inaccessible so that the next access to each is a *hint
fault*, and serves these (`take_hint`), where it moves the page or doesn't. Of one that does nothing nothing is compiled. A file has
``make(host, **options)``, which gives the state of its verbs, and ``most_events(state, tables)``: how many events a step of its
background work can write at the most, where guests and host have so many tables. Its counters are there where it is in use.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from memvirt.policy import verb
from memvirt.typing import Int

FAMILY = "memory.migration"


class Host(NamedTuple):
    """What a policy is made for.

    Attributes
    ----------
    vms, nodes, frames, dimensions : int
        ``frames``: guest frames of all VMs.
    speedup : float
        Seconds that it sees for each second of the VMs.
    """

    vms: int
    nodes: int
    frames: int
    dimensions: int
    speedup: float


@verb
def scan_pages(state: Any, world: Any, now: Any) -> float:
    """Do what is due in the background; returns when the next is (ns)."""
    raise NotImplementedError(type(state))


@verb
def is_hinted(state: Any, frame: Int) -> bool:
    """Whether the next access to a guest frame is a hint fault."""
    raise NotImplementedError(type(state))


@verb
def take_hint(state: Any, world: Any, now: Any, page: Int, frame: Int) -> float:
    """Serve the hint fault of an access to a page; returns the time that it takes (ns)."""
    raise NotImplementedError(type(state))
