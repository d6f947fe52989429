"""How a guest gives frames back of its own accord: one file a driver, three verbs.

What a guest gives up, and in which order, say `memvirt.memory.give` and `memvirt.memory.inflate`; when and how much, a driver.
"""

from __future__ import annotations

from typing import Any

from memvirt.policy import verb
from memvirt.typing import Int

FAMILY = "memory.balloon"


@verb
def adjust(state: Any, world: Any, now: Any) -> float:
    """Do a step of background work, while `memvirt.memory.log.has_room`; returns when the next is due (ns)."""
    raise NotImplementedError(type(state))


@verb
def press(state: Any, world: Any, now: Any) -> bool:
    """Free host frames at once, since there is none; False if no guest gives any."""
    raise NotImplementedError(type(state))


@verb
def relieve(state: Any, world: Any, now: Any, vm: Int, pages: Int) -> bool:
    """Give a guest that is out of memory pages of its balloon back; False if it gets none, as by default."""
    return False
