"""Which host page goes first: one file a policy, four verbs, and some for those that can do more.

An *item* is the first global guest frame of a host page, or whatever number below ``size`` a caller
counts pages by. A policy sees every access (access bits are set at each access, not at each walk).

``make(size, seed)`` makes a policy's state. One that can name victims of one VM, or one process, alone takes a third argument
``groups=None``, the group of each item, and implements `victim_of`.
"""

from __future__ import annotations

from typing import Any

from memvirt.policy import verb
from memvirt.typing import Int

FAMILY = "memory.replacement"


@verb
def insert(state: Any, item: Int) -> None:
    """Take in an item that became resident."""
    raise NotImplementedError(type(state))


@verb
def touch(state: Any, item: Int) -> None:
    """Note an access to a resident item; twice in a row is the same as once."""
    raise NotImplementedError(type(state))


@verb
def victim(state: Any) -> Int:
    """Name the resident item that should go; at least one is resident."""
    raise NotImplementedError(type(state))


@verb
def victim_of(state: Any, group: Int) -> Int:
    """Name the resident item of a group that should go; -1 if the group has none. Never asked of a policy without groups."""
    return -1


@verb
def remove(state: Any, item: Int) -> None:
    """Take out an item that is no longer resident."""
    raise NotImplementedError(type(state))


@verb
def forget(state: Any, item: Int) -> None:
    """Drop what is remembered of an item that is no longer resident: its contents are gone for good."""


@verb
def foresee(state: Any, item: Int, at: Int) -> None:
    """Learn which access of its VM a resident item is next needed for; only policies with ``FORESEES = True`` are told."""


@verb
def lingers(state: Any, item: Int) -> bool:
    """Whether an item that is not resident can't have left memory yet (swap cache): its return needs no device."""
    return False
