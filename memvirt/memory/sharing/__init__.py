"""Who looks for equal pages: one file a scanner, one verb.

A scanner examines guest frames in the background and calls `memvirt.memory.share.share` for two of the same contents, which it
knows by `FRAME.content`: equal numbers are equal contents, and a write gives a frame a number of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt.jit import inner, inner_apart
from memvirt.memory.share import split
from memvirt.memory.state import CACHE, DATA, NOTHING, Now, World
from memvirt.policy import verb
from memvirt.typing import Int

FAMILY = "memory.sharing"


@verb
def scan(state: Any, world: Any, now: Any) -> float:
    """Do a step of background work, while `memvirt.memory.log.has_room`; returns when the next is due (ns)."""
    raise NotImplementedError(type(state))


@inner
def mergeable(world: World, frame: Int) -> bool:
    """Whether a scanner looks at a guest frame: one that is backed and holds data, or was freed while it was merged."""
    held = world.frames[frame]
    if held.hfn == NOTHING:
        return False
    return held.role == DATA or held.role == CACHE or world.host_frames[held.hfn].stable != 0  # type: ignore[no-any-return]


@inner_apart
def is_small(world: World, now: Now, frame: Int) -> bool:
    """Split the large host page behind a guest frame, if it is one; False if there is no small one behind it then."""
    held = world.frames[frame]
    if held.order > 0 and not split(world, now, frame >> np.int64(held.order) << np.int64(held.order)):
        return False
    return held.order == 0 and held.hfn != NOTHING  # type: ignore[no-any-return]
