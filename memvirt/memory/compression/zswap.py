"""zswap: one pool for all, packed by the byte, up to a share of the host's memory (Linux, mm/zswap.c).

A page of zeros is kept outside of the pool and never written: there is nothing to store (`zswap_is_page_same_filled`; since 6.12
`swap_zeromap`, mm/page_io.c). Any other page that shrinks at all is kept. Once the pool is full, pages go to swap itself until what
came first has been written back and the pool is below a share ``accept`` of its most. A worker writes it back (`shrink_worker`), so
nobody waits for it but at the device; that the pool has shrunk at once is a simplification. What zsmalloc wastes at the ends of its
pages is left out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.counters import Counter
from memvirt.jit import inner, inner_apart
from memvirt.memory.compression import drop, load, store
from memvirt.memory.compression._cache import Cache, charge_compressing, make_cache, oldest_in, put_in, resize, take_out, write_back
from memvirt.memory.contents import ZEROS, compressed_size
from memvirt.memory.options import a_part
from memvirt.memory.state import Now, World
from memvirt.typing import Int

COUNTERS = (Counter("zero_filled_pages", "pages", doc="of zeros that were kept outside of the pool"),)

#: Knobs in /sys/module/zswap that there are not.
NOT_MODELLED = {
    "shrinker_enabled": "the pool shrinks where it is full",
    "compressor": "contents have a size: contents.fits_1k, contents.fits_2k",
    "zpool": "what an allocator wastes is left out",
    "max_pool_percent": "it is most here, a share",
    "accept_threshold_percent": "it is accept here, a share",
}
ALL = np.int64(0)
ZERO_FILLED = np.int64(-1)  #: as a frame's compressed size, of a page that takes none of the pool


class State(NamedTuple):
    """Of the pool.

    Attributes
    ----------
    cache : Cache
        One group.
    limits : (2,) float64
        Most of the host's data frames, and the share of that below which a full pool takes pages again.
    bytes : (1,) int64
        In use.
    """

    cache: Cache
    limits: NDArray[np.float64]
    bytes: NDArray[np.int64]


def make(owner: NDArray[np.int64], vms: int, most: float, accept: float) -> State:
    """State of the pool, empty."""
    shares = [a_part("reclaim.compression.most", most, "the host"), a_part("reclaim.compression.accept", accept, "most")]
    return State(make_cache(owner.size, None), np.array(shares), np.zeros(1, np.int64))


@inner
def _needed(state: State, more: Int) -> Int:
    return np.int64((state.bytes[0] + more + 4095) // 4096)


@inner_apart
def _leave(state: State, world: World, frame: Int) -> None:
    state.bytes[0] -= np.int64(world.frames[frame].packed)


@inner_apart
def _shrink(state: State, world: World, now: Now, below: float) -> None:
    """Write back what came first until the pool is small enough: a worker's job, for which who found the pool full doesn't wait."""
    waited = np.float64(world.clock[0].reclaimed_ns)
    while _needed(state, np.int64(0)) > below:
        old = oldest_in(state.cache, ALL)
        if old < 0:
            break
        _leave(state, world, old)
        write_back(state.cache, world, now, old)
    resize(state.cache, world, now, ALL, _needed(state, np.int64(0)))
    world.clock[0].reclaimed_ns = waited


@inner_apart
def keep_zeros(world: World, frame: Int) -> None:
    """Note that a guest frame holds zeros, so that nothing of it need be kept."""
    held = world.frames[frame]
    held.packed, held.swapped, held.dirty = ZERO_FILLED, 0, 1
    guest = world.vms[held.vm]
    guest.compressed += 1
    world.counts[np.int64(held.vm), np.int64(guest.epoch)].zero_filled_pages += 1


@store.register
def _store(state: State, world: World, now: Now, frame: Int) -> bool:
    if world.frames[frame].content == ZEROS:
        keep_zeros(world, frame)
        return True
    charge_compressing(world, frame)
    size = compressed_size(world, frame)
    if size >= 4096:
        return False
    most = state.limits[0] * world.clock[0].total
    if _needed(state, size) > most:
        _shrink(state, world, now, state.limits[1] * most)
        return False
    if not resize(state.cache, world, now, ALL, _needed(state, size)):
        return False
    state.bytes[0] += size
    put_in(state.cache, world, frame, size)
    return True


@inner_apart
def _let_go(state: State, world: World, now: Now, frame: Int) -> None:
    if world.frames[frame].packed == ZERO_FILLED:
        world.frames[frame].packed = 0
        world.vms[world.frames[frame].vm].compressed -= 1
        return
    _leave(state, world, frame)
    take_out(state.cache, world, frame)
    resize(state.cache, world, now, ALL, _needed(state, np.int64(0)))


@load.register
@drop.register
def _load_or_drop(state: State, world: World, now: Now, frame: Int) -> None:
    _let_go(state, world, now, frame)
