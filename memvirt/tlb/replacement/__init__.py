"""Which entry of a set goes: one file a policy, four verbs, and a fifth for one that counts.

A set is the slots ``start`` … ``start + ways - 1`` of one level on one CPU; a policy's state covers all slots
of a level. Touching the way that was touched last changes nothing, so the hierarchy may leave that out.
"""

from __future__ import annotations

from typing import Any

from memvirt.policy import verb
from memvirt.typing import Int

FAMILY = "tlb.replacement"


@verb
def touch(state: Any, start: Int, ways: Int, way: Int) -> None:
    """Note a hit."""
    raise NotImplementedError(type(state))


@verb
def fill(state: Any, start: Int, ways: Int, way: Int) -> None:
    """Note that a new entry was put into a way."""
    raise NotImplementedError(type(state))


@verb
def victim(state: Any, start: Int, ways: Int) -> Int:
    """Name the way to replace in a set whose ways are all valid."""
    raise NotImplementedError(type(state))


@verb
def drop(state: Any, start: Int, ways: Int, way: Int) -> None:
    """Note that a way's entry was invalidated; invalid ways are filled first, lowest way first."""
    raise NotImplementedError(type(state))


@verb
def count_own(state: Any, counts: Any) -> None:
    """Add what a policy counted since it was last asked to its own counters (`memvirt.counters`), and forget it; most have none.

    ``counts`` is the record of the VM and epoch that it was asked for.
    """
