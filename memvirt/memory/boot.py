"""What a VM has before its first access: its kernel's own memory, caches filled, pages mapped."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner_apart, kernel
from memvirt.memory.frames import back
from memvirt.memory.give import make_guest_room
from memvirt.memory.guest import guest_map, new_contents
from memvirt.memory.numbers import guest_frame
from memvirt.memory.state import CACHE, FOR_DATA, GUEST_FULL, HOST_FULL, KERNEL, NOTHING, OK, ONE, SMALL, Now, World
from memvirt.typing import Int


@kernel
def note_first_touches(pages: NDArray[np.uint32], seen: NDArray[np.uint8], order: NDArray[np.uint32], count: Int) -> Int:
    """Add to ``order`` the pages of a chunk that weren't seen yet; returns how many stand there now."""
    for page in pages:
        if not seen[page]:
            seen[page] = 1
            order[count] = page
            count += 1
    return count


@inner_apart
def map_all(world: World, now: Now, order: NDArray[np.int64]) -> Int:
    """Map and back a VM's pages in this order; `OK`, or what is full."""
    base = world.vms[now.vm].page_base
    for page in order:
        if world.pages[base + page].frame == NOTHING:
            status = guest_map(world, now, base + page)
            if status != OK:
                return status  # type: ignore[no-any-return]
        frame = np.int64(world.pages[base + page].frame)  # one of many host pages, if the guest's is larger
        if world.frames[frame].hfn == NOTHING and not back(world, now, frame, NOTHING, FOR_DATA):
            return HOST_FULL
    return OK


@inner_apart
def use_frame(world: World, now: Now, role: Int, content: Int) -> Int:
    """Have a guest use a frame for something other than a program's page, and the host back it.

    What is full, negated, if there is no frame: `HOST_FULL`, or `GUEST_FULL`. Room in the guest is made as for a program's page: a
    host short of memory may have pressed the balloon meanwhile.
    """
    if not make_guest_room(world, now, now.vm, ONE):
        return -GUEST_FULL
    frame = np.int64(guest_frame(world, now.vm, SMALL))
    held = world.frames[frame]
    held.role, held.content, held.next_free = role, content, NOTHING
    world.vms[now.vm].used += 1
    if held.hfn == NOTHING and not back(world, now, frame, NOTHING, FOR_DATA):
        return -HOST_FULL
    return frame


@inner_apart
def keep_for_kernel(world: World, now: Now, count: Int) -> Int:
    """Give a guest's kernel frames that it never gives up, nor accesses again: to a host that swaps they are its coldest pages."""
    for _ in range(count):
        frame = use_frame(world, now, KERNEL, new_contents(world))
        if frame < 0:
            return -frame
    return OK


@inner_apart
def fill_cache(world: World, now: Now, contents: NDArray[np.int64]) -> Int:
    """Give a guest clean cache, a frame for each number of contents; the first is the first to go."""
    last: Int = NOTHING
    guest = world.vms[now.vm]
    for number in contents:
        frame = use_frame(world, now, CACHE, number)
        if frame < 0:
            return -frame
        if guest.cached == 0:  # or what came before is gone already, to make room
            guest.cache_first = frame
        else:
            world.frames[last].next_free = frame
        last = frame
        guest.cached += 1
    return OK
