"""Which host page goes first: one file a policy, four verbs and two that it may do without.

An *item* is the first global guest frame of a host page, or whatever number below ``size`` a caller
counts pages by. A policy sees every access (access bits are set at each access, not at each walk).
"""

from __future__ import annotations

from typing import Any

from memvirt.policy import verb

FAMILY = "memory.replacement"


@verb
def insert(state: Any, item: int) -> None:
    """Take in an item that became resident."""
    raise NotImplementedError(type(state))


@verb
def touch(state: Any, item: int) -> None:
    """Note an access to a resident item; twice in a row is the same as once."""
    raise NotImplementedError(type(state))


@verb
def victim(state: Any) -> int:
    """Name the resident item that should go; at least one is resident."""
    raise NotImplementedError(type(state))


@verb
def remove(state: Any, item: int) -> None:
    """Forget an item that is no longer resident."""
    raise NotImplementedError(type(state))


@verb
def forget(state: Any, item: int) -> None:
    """Note that an item, no longer resident, is gone for good: what is remembered of it goes too; by default, nothing."""


@verb
def lingers(state: Any, item: int) -> bool:
    """Whether an item that is not resident can't have left memory yet (swap cache): its return needs no device; by default, no."""
    return False
