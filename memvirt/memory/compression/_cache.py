"""What caches of compressed pages have in common: who is in it, oldest first, and the host frames that it is made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.counters import Counter
from memvirt.jit import inner, inner_apart
from memvirt.memory.frames import swap_out
from memvirt.memory.lists import Chain, items, make_chain, oldest, push_front, unlink
from memvirt.memory.numbers import any_host_frame, free_host_frame
from memvirt.memory.state import EVERY_NODE, NOTHING, ONE, SMALL, Now, World
from memvirt.memory.work import holds_up
from memvirt.typing import Int

COUNTERS = (
    Counter("compressions", "pages", doc="into the compressed cache"),
    Counter("compressed_evictions", "pages", doc="from the compressed cache to swap"),
    Counter("host_compressing_ns", "ns", doc="CPU time of the host that compresses and decompresses"),
)


class Cache(NamedTuple):
    """Compressed pages in groups (of a VM each, or one for all).

    Attributes
    ----------
    order : Chain
        Guest frames whose contents are here, by age.
    first : (groups,) int64
        The group's host frames, a list through `HOST_FRAME.next_free`.
    size : (groups,) int64
        How many host frames those are.
    """

    order: Chain
    first: NDArray[np.int64]
    size: NDArray[np.int64]


def make_cache(frames: int, groups: NDArray[np.int64] | None) -> Cache:
    """An empty cache for the contents of guest frames 0 … ``frames`` - 1."""
    count = int(groups.max(initial=0)) + 1 if groups is not None else 1
    return Cache(make_chain(frames, groups), np.full(count, NOTHING), np.zeros(count, np.int64))


@inner_apart
def resize(cache: Cache, world: World, now: Now, group: Int, needed: Int) -> bool:
    """Make a group so many host frames large; False if there is no frame to grow by."""
    clock = world.clock[0]
    while cache.size[group] > needed:
        hfn = np.int64(cache.first[group])
        cache.first[group] = world.host_frames[hfn].next_free
        free_host_frame(world, hfn, SMALL)
        cache.size[group] -= 1
        clock.pool -= 1
    while cache.size[group] < needed:
        hfn = np.int64(any_host_frame(world, now.node, SMALL, EVERY_NODE))
        if hfn < 0:
            return False
        world.host_frames[hfn].next_free = cache.first[group]
        cache.first[group] = hfn
        cache.size[group] += 1
        clock.pool += 1
    return True


@inner_apart
def put_in(cache: Cache, world: World, frame: Int, packed: Int) -> None:
    """Note that the contents of a guest frame are here."""
    held = world.frames[frame]
    held.packed, held.swapped, held.dirty = packed, 0, 1
    push_front(cache.order, frame)
    guest = world.vms[held.vm]
    guest.compressed += 1
    world.counts[np.int64(held.vm), np.int64(guest.epoch)].compressions += 1


@inner_apart
def take_out(cache: Cache, world: World, frame: Int) -> None:
    """Note that they no longer are."""
    held = world.frames[frame]
    held.packed = 0
    unlink(cache.order, frame)
    world.vms[held.vm].compressed -= 1


@inner_apart
def charge_compressing(world: World, frame: Int) -> None:
    """Count the time of compressing a page, whether it turns out to be worth while or not."""
    vm = np.int64(world.frames[frame].vm)
    world.counts[vm, np.int64(world.vms[vm].epoch)].host_compressing_ns += np.int64(world.rules[0].compress_ns)
    holds_up(world, world.rules[0].compress_ns)


@inner
def oldest_in(cache: Cache, group: Int) -> Int:
    """Guest frame whose contents came first of all that are still here; -1 if none are."""
    frame = np.int64(oldest(cache.order, group))
    return frame if frame < items(cache.order) else np.int64(-1)


@inner_apart
def write_back(cache: Cache, world: World, now: Now, frame: Int) -> None:
    """Decompress a page to write it to swap."""
    vm = np.int64(world.frames[frame].vm)
    take_out(cache, world, frame)
    swap_out(world, now, frame, ONE, ONE)
    world.counts[vm, np.int64(world.vms[vm].epoch)].compressed_evictions += 1
    world.counts[vm, np.int64(world.vms[vm].epoch)].host_compressing_ns += np.int64(world.rules[0].decompress_ns)
    holds_up(world, world.rules[0].decompress_ns)
