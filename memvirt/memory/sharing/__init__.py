"""Who looks for equal pages: one file a scanner, one verb.

A scanner examines guest frames in the background and calls `memvirt.memory.share.share` for two of the same contents, which it
knows by `FRAME.content`: equal numbers are equal contents, and a write gives a frame a number of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memvirt.policy import verb

FAMILY = "memory.sharing"


@verb
def scan(state: Any, world: Any, now: Any) -> float:
    """Do a step of background work, while `memvirt.memory.log.has_room`; returns when the next is due (ns)."""
    raise NotImplementedError(type(state))


@verb
def measure(state: Any, counts: NDArray[np.int64]) -> None:
    """Write what the scanner tells its administrator into a VM's counters of an epoch (`memvirt.memory.state.GAUGES`)."""


@measure.register
def _nothing_to_measure(state: tuple, counts: NDArray[np.int64]) -> None:  # type: ignore[type-arg]
    pass
