"""The one kernel that Python calls in the memory room, so that what all its tasks need is compiled and optimized once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import kernel
from memvirt.memory.boot import fill_cache, keep_for_kernel, map_all
from memvirt.memory.loop import host_loop
from memvirt.memory.state import Now, World
from memvirt.typing import Int

GO_ON, KEEP_FOR_KERNEL, FILL_CACHE, MAP = map(np.int64, range(4))
NOBODY, NO_NUMBERS = Now(0, 0, 0, 0, 0, 0, 0, 0.0), np.zeros(0, np.int64)


@kernel
def do_task(world: World, now: Now, task: Int, numbers: NDArray[np.int64]) -> tuple[Int, Int]:
    """Do one of Python's tasks.

    Parameters
    ----------
    world : World
    now : Now
        Whose task it is; `NOBODY` for `GO_ON`.
    task : int
        ``GO_ON``: go on until all VMs are done, or Python must help. ``KEEP_FOR_KERNEL``: give a guest's kernel this many frames.
        ``FILL_CACHE``: give a guest clean cache of these contents. ``MAP``: map and back a VM's pages of these numbers.
    numbers : (n,) int64

    Returns
    -------
    status, who : int
        `OK` or why it ended, and the vCPU or VM concerned.
    """
    if task == KEEP_FOR_KERNEL:
        return keep_for_kernel(world, now, numbers[0]), now.vm
    if task == FILL_CACHE:
        return fill_cache(world, now, numbers), now.vm
    if task == MAP:
        return map_all(world, now, numbers), now.vm
    return host_loop(world)
