"""How the host makes room: one file a policy, two verbs.

A policy decides whom to take pages from and by which mechanism: `memvirt.memory.frames.evict` for what
`memvirt.memory.replacement` names (compressed, or to swap), `memvirt.memory.balloon.press`, or what it does in the background.

``make(vms, seed, **options)`` makes a policy's state; one that keeps something of each guest frame takes ``frames`` as well.
"""

from __future__ import annotations

from typing import Any

from memvirt.policy import verb
from memvirt.typing import Int

FAMILY = "memory.reclaim"


@verb
def make_room(state: Any, world: Any, now: Any, order: Int) -> bool:
    """Free host frames, since there is no page of ``order``; False to give up, else at least one host page was freed."""
    raise NotImplementedError(type(state))


@verb
def balance(state: Any, world: Any, now: Any) -> float:
    """Do a step of background work, while `memvirt.memory.log.has_room`; returns when the next is due (ns), by default never."""
    return 1e300
