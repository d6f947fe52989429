"""Free page reporting: a guest tells the host which of its free frames it needn't keep (Linux, mm/page_reporting.c).

No frame is taken from the guest, so it costs it nothing; memory comes back only where the guest frees some. Linux reports free
blocks of 2 MiB, two seconds after one was freed; here each free page is, once, up to ``batch`` of a guest every ``period``; the
guest uses those that it reported last again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.memory.balloon import adjust, press
from memvirt.memory.inflate import report_free
from memvirt.memory.log import has_room
from memvirt.memory.options import a_count, a_period
from memvirt.memory.state import Now, World


class State(NamedTuple):
    """Time between reports (ns), and frames that one of them may name."""

    period_ns: NDArray[np.float64]
    batch: NDArray[np.int64]


def make(vms: int, seed: int, period: object, batch: int) -> State:
    """State of the reporter."""
    every, most = a_period("reclaim.balloon.period", period), a_count("reclaim.balloon.batch", batch, 1 << 31)
    return State(np.array([every]), np.array([most]))


@adjust.register
def _adjust(state: State, world: World, now: Now) -> float:
    for vm in range(world.vms.size):
        reported = 0
        while reported < state.batch[0] and has_room(world) and report_free(world, now, vm) >= 0:
            reported += 1
    return now.time_ns + state.period_ns[0] / world.rules[0].speedup  # type: ignore[no-any-return]


@press.register
def _press(state: State, world: World, now: Now) -> bool:
    for vm in range(world.vms.size):
        freed = np.int64(0)
        while freed == 0 and has_room(world):  # what lay in swap, or behind others' frames as well, frees none
            freed = np.int64(report_free(world, now, vm))
        if freed > 0:
            return True
    return False
