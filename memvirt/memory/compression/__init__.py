"""Where the contents of a page that goes can stay in memory, compressed: one file a cache, three verbs.

The size of a page's contents comes from the content model: `memvirt.memory.contents.compressed_size`.
"""

from __future__ import annotations

from typing import Any

from memvirt.policy import verb
from memvirt.typing import Int

FAMILY = "memory.compression"


@verb
def store(state: Any, world: Any, now: Any, frame: Int) -> bool:
    """Keep the contents of a guest frame that just lost its (small) host page; False if they must go to swap."""
    raise NotImplementedError(type(state))


@verb
def load(state: Any, world: Any, now: Any, frame: Int) -> None:
    """Give the contents of a frame back, which has a host page again."""
    raise NotImplementedError(type(state))


@verb
def drop(state: Any, world: Any, now: Any, frame: Int) -> None:
    """Let go of the contents of a frame, which nobody needs any more."""
    raise NotImplementedError(type(state))
