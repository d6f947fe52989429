"""Balloons by miss-ratio curves: each guest is to have the least memory with which it seldom misses, as far as there is that much.

Every ``every`` the host reads and clears the accessed bits of all guest frames. A frame's *age* is the number of such looks at
which it was found untouched; with memory for those younger than some age, a guest would have missed what was touched at that age
or beyond. That is a miss-ratio curve, a point for each age. A guest is to have the point at which it misses at most a share
``misses`` of what it touches. What it read from its own swap meanwhile, which virtio-balloon's statistics tell, was missed as it
is: if that alone is more, the guest is to have as much more. Where all of it is more than the host has, the oldest ages go of
whichever guest would miss the least a page.

Source: Zhou et al., Dynamic tracking of page miss ratio curve for memory management, ASPLOS'04; Zhao and Wang, Dynamic memory
balancing for virtual machines (MEB), VEE'09, which sets balloons by it (5 %, recalled). They trace accesses of protected pages by
LRU distance; here ages stand for distances, as a host can read them without a fault. What reading bits takes is left out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner, inner_apart
from memvirt.memory.balloon import adjust, press, relieve
from memvirt.memory.balloon._follow import Pump, follow, give_back, make_pump, press_guests, set_target
from memvirt.memory.options import a_part, a_period
from memvirt.memory.sampling import SINCE_AGED, holds_something
from memvirt.memory.state import Now, World
from memvirt.typing import Int

AGES = 256  #: a frame's age is a byte; the last is this old or older


class State(NamedTuple):
    """Of the policy.

    Attributes
    ----------
    pump : Pump
    every_ns, misses : (1,) float64
    due_ns : (1,) float64
    age : (frames,) uint8
    held, touched : (vms, AGES) int64
        Frames of each age now; those that were touched at each age since the look before.
    least : (vms,) int64
        From which age on each guest's frames are to go.
    read, missed : (vms,) int64
        Pages that each guest has read from its own swap so far, and since the look before.
    more : (vms,) int64
        Pages that it is to have beside those.
    """

    pump: Pump
    every_ns: NDArray[np.float64]
    misses: NDArray[np.float64]
    due_ns: NDArray[np.float64]
    age: NDArray[np.uint8]
    held: NDArray[np.int64]
    touched: NDArray[np.int64]
    least: NDArray[np.int64]
    read: NDArray[np.int64]
    missed: NDArray[np.int64]
    more: NDArray[np.int64]


def make(vms: int, seed: int, cap: float, rate: float, period: object, every: object, misses: object, *, frames: int = 1) -> State:
    """State of the policy, for so many guest frames."""
    looks = a_period("reclaim.balloon.every", every)
    return State(
        make_pump(cap, rate, period),
        np.array([looks]),
        np.array([a_part("reclaim.balloon.misses", misses, "what a guest touches")]),
        np.array([looks]),
        np.zeros(frames, np.uint8),
        np.zeros((vms, AGES), np.int64),
        np.zeros((vms, AGES), np.int64),
        np.full(vms, AGES),
        np.zeros(vms, np.int64),
        np.zeros(vms, np.int64),
        np.zeros(vms, np.int64),
    )


@inner_apart
def look(state: State, world: World) -> None:
    """Read and clear all accessed bits: each guest's curve of the time since the look before."""
    state.held[:, :] = 0
    state.touched[:, :] = 0
    for number in range(state.age.size):
        frame = world.frames[number]
        used, age = (frame.accessed & SINCE_AGED) != 0, np.int64(state.age[number])
        frame.accessed &= ~SINCE_AGED
        if not holds_something(world, number):
            state.age[number] = 0
            continue
        state.touched[frame.vm, age] += used
        age = np.int64(0) if used else min(age + 1, np.int64(AGES - 1))
        state.age[number] = age
        state.held[frame.vm, age] += 1
    for vm in range(state.read.size):
        state.missed[vm] = world.vms[vm].guest_read - state.read[vm]
        state.read[vm] = world.vms[vm].guest_read


@inner
def enough(state: State, vm: Int) -> Int:
    """Least age beyond which a guest touched no more than its share of misses, 1 at the least; `AGES` if it missed more already."""
    whole, beyond = np.int64(state.missed[vm]), np.int64(state.missed[vm])
    for age in range(AGES):
        whole += state.touched[vm, age]
    least = np.int64(AGES)
    while least > 1 and beyond + state.touched[vm, least - 1] <= state.misses[0] * whole:
        least -= 1
        beyond += state.touched[vm, least]
    state.more[vm] = state.missed[vm] if state.missed[vm] > state.misses[0] * whole else 0
    return least


@inner
def size(state: State, vm: Int) -> Int:
    """Frames of a guest that are younger than the age at which they are to go, and what it is to have beside them."""
    found = np.int64(state.more[vm])
    for age in range(state.least[vm]):
        found += state.held[vm, age]
    return found


@inner_apart
def choose_ages(state: State, frames: Int) -> None:
    """Choose from which age on each guest's frames are to go, so that those that stay fit the host."""
    wanted = np.int64(0)
    for vm in range(state.least.size):
        state.least[vm] = enough(state, np.int64(vm))
        wanted += size(state, np.int64(vm))
    while wanted > frames:
        cheapest, price = np.int64(-1), np.inf
        for vm in range(state.least.size):
            oldest = state.least[vm] - 1
            while oldest > 0 and state.held[vm, oldest] == 0:  # nothing to gain by it
                oldest -= 1
            state.least[vm] = oldest + 1
            each = state.touched[vm, oldest] / max(state.held[vm, oldest], 1)
            if oldest > 0 and each < price:
                cheapest, price = np.int64(vm), each
        if cheapest < 0:  # all that is left was touched just now
            break
        state.least[cheapest] -= 1
        wanted -= state.held[cheapest, state.least[cheapest]]


@adjust.register
def _adjust(state: State, world: World, now: Now) -> float:
    if now.time_ns >= state.due_ns[0]:
        look(state, world)
        choose_ages(state, np.int64(world.clock[0].total))
        for vm in range(world.vms.size):
            set_target(world, np.int64(vm), np.float64(world.vms[vm].limit - size(state, np.int64(vm))))
        state.due_ns[0] = now.time_ns + state.every_ns[0] / world.rules[0].speedup
    return follow(state.pump, world, now)  # type: ignore[no-any-return]


@press.register
def _press(state: State, world: World, now: Now) -> bool:
    return press_guests(world, now)  # type: ignore[no-any-return]


@relieve.register
def _relieve(state: State, world: World, now: Now, vm: Int, pages: Int) -> bool:
    return give_back(world, now, vm, pages)  # type: ignore[no-any-return]
