"""When each page is accessed next, for policies that foresee."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import kernel
from memvirt.memory.replacement import foresee
from memvirt.memory.state import NOTHING, World
from memvirt.types import NONE, Trace
from memvirt.typing import Int


@kernel
def _look_back(pages: NDArray[np.uint32], start: Int, following: NDArray[np.uint32], out: NDArray[np.uint32]) -> None:
    for place in range(pages.size - 1, -1, -1):
        out[place] = following[pages[place]]
        following[pages[place]] = start + place


def next_accesses(trace: Trace) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Find each access's successor.

    Returns
    -------
    coming : (accesses,) uint32
        Number of the next access to the same page, `NONE` if there is none.
    first : (pages,) uint32
        Number of the first access to each page.
    """
    following = np.full(trace.pages.vpn.size, NONE, np.uint32)
    coming = np.empty(trace.accesses, np.uint32)
    end = trace.accesses
    for number in range(len(trace.chunks) - 1, -1, -1):
        pages = trace.chunks[number].page
        _look_back(pages, end - pages.size, following, coming[end - pages.size : end])
        end -= pages.size
    return coming, following


@kernel
def foresee_first(world: World, vm: Int, first: NDArray[np.uint32]) -> None:
    """Tell the policy of a VM's pages that are resident before the first access."""
    base = world.vms[vm].page_base
    for page in range(first.size):
        frame = np.int64(world.pages[base + page].frame)
        if frame != NOTHING and world.frames[frame].hfn != NOTHING:
            foresee(world.policies.replacement, frame, np.int64(first[page]))
