"""ESX's compression cache: a page that would be swapped stays if it fits half a page, in a slot of 2 KiB, or of 1 KiB.

Each VM has a cache of its own, at most a share ``cap`` of its memory; when it is full, the page that came first is decompressed and
swapped out. After: VMware, "Understanding Memory Resource Management in VMware vSphere 5.0", memory compression.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner, inner_apart
from memvirt.memory.compression import drop, load, store
from memvirt.memory.compression._cache import Cache, charge_compressing, make_cache, oldest_in, put_in, resize, take_out, write_back
from memvirt.memory.contents import compressed_size
from memvirt.memory.options import a_part
from memvirt.memory.state import Now, World
from memvirt.typing import Int

QUARTER, HALF = np.int64(1), np.int64(2)  #: kinds of slots, by the quarters of a page that they take


class State(NamedTuple):
    """Of the caches.

    Attributes
    ----------
    cache : Cache
        A group a VM.
    cap : (1,) float64
        Most of a VM's memory that its cache may take.
    slots : (vms, 3) int64
        Slots in use of each kind.
    """

    cache: Cache
    cap: NDArray[np.float64]
    slots: NDArray[np.int64]


def make(owner: NDArray[np.int64], vms: int, cap: float) -> State:
    """State of the caches, all empty."""
    share = a_part("reclaim.compression.cap", cap, "the VM's memory")
    return State(make_cache(owner.size, owner), np.array([share]), np.zeros((vms, 3), np.int64))


@inner
def _needed(state: State, vm: Int) -> Int:
    """Host frames for a VM's slots; those of one frame are of one kind."""
    return np.int64((state.slots[vm, HALF] + 1) // 2 + (state.slots[vm, QUARTER] + 3) // 4)


@inner_apart
def _leave(state: State, world: World, frame: Int) -> None:
    vm, kind = np.int64(world.frames[frame].vm), np.int64(world.frames[frame].packed)
    state.slots[vm, kind] -= 1


@store.register
def _store(state: State, world: World, now: Now, frame: Int) -> bool:
    charge_compressing(world, frame)
    size = compressed_size(world, frame)
    if size > 2048:
        return False
    vm = np.int64(world.frames[frame].vm)
    kind = QUARTER if size <= 1024 else HALF
    most = np.int64(state.cap[0] * world.vms[vm].limit)
    state.slots[vm, kind] += 1
    while _needed(state, vm) > most or not resize(state.cache, world, now, vm, _needed(state, vm)):
        old = oldest_in(state.cache, vm)
        if old < 0:
            state.slots[vm, kind] -= 1
            resize(state.cache, world, now, vm, _needed(state, vm))
            return False
        _leave(state, world, old)
        write_back(state.cache, world, now, old)
    put_in(state.cache, world, frame, kind)
    return True


@inner_apart
def _let_go(state: State, world: World, now: Now, frame: Int) -> None:
    vm = np.int64(world.frames[frame].vm)
    _leave(state, world, frame)
    take_out(state.cache, world, frame)
    resize(state.cache, world, now, vm, _needed(state, vm))


@load.register
@drop.register
def _load_or_drop(state: State, world: World, now: Now, frame: Int) -> None:
    _let_go(state, world, now, frame)
