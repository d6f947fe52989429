"""How the host makes room: one file a mechanism, one verb.

The loop asks while it has no free frame, and carries out what the mechanism answers.
"""

from __future__ import annotations

from typing import Any

from memvirt.policy import verb

FAMILY = "memory.reclaim"


@verb
def make_room(state: Any, replacement: Any, order: int) -> int:
    """Name the host page to swap out for the sake of a page of ``order``; -1 to give up.

    ``replacement`` is the state of `reclaim.replacement`, to be asked for its victim.
    """
    raise NotImplementedError(type(state))
