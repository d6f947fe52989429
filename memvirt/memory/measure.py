"""What policies tell their administrator, written down as the end of an epoch so far."""

from __future__ import annotations

from typing import Any

from memvirt.policy import verb


@verb
def measure(state: Any, counts: Any) -> None:
    """Write a policy's own counters of what is the case (`memvirt.counters`) into a VM's record of an epoch; most have none."""
