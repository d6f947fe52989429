"""Free page reporting: a guest tells the host which of its free frames it needn't keep (Linux, mm/page_reporting.c).

No frame is taken from the guest, so it costs it nothing; memory comes back only where the guest frees some. Told of are blocks of
2 ** ``order`` frames that are free as a whole, each ``period``, up to ``batch`` frames of a guest, each once. Linux has order 9
there (`page_reporting_order`: a pageblock, 2 MiB), and tells two seconds after a block was freed. The default is any page, the most
that reporting can bring: guests here take frames in the order in which pages are touched, a page life's in random order, and never
move any to make a block free, so hardly a block of 2 MiB ever is. The guest uses the frames that it reported last again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import ConfigError
from memvirt.jit import inner_apart
from memvirt.memory.balloon import adjust, press
from memvirt.memory.inflate import LARGE, tell_of
from memvirt.memory.log import has_room
from memvirt.memory.numbers import pop
from memvirt.memory.options import a_count, a_period
from memvirt.memory.state import FREE, NOTHING, SMALL, Now, World
from memvirt.typing import Int

BLOCK_ORDER = 9  #: of the largest block: 2 MiB


class State(NamedTuple):
    """Of the reporter.

    Attributes
    ----------
    period_ns : (1,) float64
    batch, order : (1,) int64
    used : (frames,) int64
        Of each block, by its number among all guests', how many of its frames are in use.
    """

    period_ns: NDArray[np.float64]
    batch: NDArray[np.int64]
    order: NDArray[np.int64]
    used: NDArray[np.int64]


def make(vms: int, seed: int, period: object, batch: int, order: int, *, frames: int = 1) -> State:
    """State of the reporter."""
    every, most = a_period("reclaim.balloon.period", period), a_count("reclaim.balloon.batch", batch, 1 << 31)
    if isinstance(order, bool) or not isinstance(order, int) or not 0 <= order <= BLOCK_ORDER:
        raise ConfigError("reclaim.balloon.order", str(order), f"is a whole number from 0, a page, to {BLOCK_ORDER}, 2 MiB")
    return State(np.array([every]), np.array([most]), np.array([order]), np.zeros((frames >> order) + 1, np.int64))


@inner_apart
def count_used(state: State, world: World) -> None:
    """Count the frames of each block that are in use."""
    state.used[:] = 0
    for number in range(world.frames.size):
        state.used[number >> state.order[0]] += world.frames[number].role != FREE


@inner_apart
def report(state: State, world: World, now: Now, vm: Int) -> Int:
    """Have a guest tell of frames in blocks that are free, a batch at the most; how many host frames that frees."""
    guest = world.vms[vm]
    told, freed = np.int64(0), np.int64(0)
    while told < state.batch[0] and guest.free[1] != NOTHING and has_room(world):
        given = np.int64(tell_of(world, now, vm, pop(world, guest.free, LARGE), LARGE))
        if given < 0:
            break
        told, freed = told + (1 << LARGE), freed + given
    head, last = np.int64(guest.free[0]), NOTHING
    guest.free[0] = NOTHING
    while head != NOTHING:  # what isn't told of stays in its order
        following = np.int64(world.frames[head].next_free)
        if told < state.batch[0] and state.used[head >> state.order[0]] == 0 and has_room(world):
            before = np.int64(guest.free[0])
            given = np.int64(tell_of(world, now, vm, head, SMALL))
            if given >= 0:
                told, freed = told + 1, freed + given
                head = following
                continue
            guest.free[0] = before
        world.frames[head].next_free = NOTHING
        if last == NOTHING:
            guest.free[0] = head
        else:
            world.frames[last].next_free = head
        last, head = head, following
    return freed


@adjust.register
def _adjust(state: State, world: World, now: Now) -> float:
    count_used(state, world)
    for vm in range(world.vms.size):
        report(state, world, now, np.int64(vm))
    return now.time_ns + state.period_ns[0] / world.rules[0].speedup  # type: ignore[no-any-return]


@press.register
def _press(state: State, world: World, now: Now) -> bool:
    count_used(state, world)
    for vm in range(world.vms.size):
        if report(state, world, now, np.int64(vm)) > 0:
            return True
    return False
