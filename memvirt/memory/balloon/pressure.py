"""Balloons by pressure: a guest that doesn't wait for memory gives a little of it all the time, one that waits gets some back.

Every ``every`` the share of the time in which some of a VM's vCPUs waited for memory (PSI's `some`) is held against ``threshold``.
Below it the balloon grows by a share ``ratio`` of what the guest has, the less the nearer; at it and beyond it shrinks by a share
``step`` of that. The first half is TMO's rule for a cgroup (Weiner et al., ASPLOS'22, section 3.3; `reclaim=senpai` has its
settings), the second MOM's largest step: no source says how fast a balloon should shrink. A guest knows its own pressure, but not
that it waits for the host's swap, which it only sees as slow; here both count, as if the host told.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner_apart
from memvirt.memory.balloon import adjust, press, relieve
from memvirt.memory.balloon._follow import Pump, follow, give_back, make_pump, press_guests, set_target
from memvirt.memory.options import a_part, a_period
from memvirt.memory.state import Now, World
from memvirt.typing import Int


class State(NamedTuple):
    """Of the policy.

    Attributes
    ----------
    pump : Pump
    every_ns, ratio, threshold, step : (1,) float64
    due_ns, last_ns : (1,) float64
        When pressure is looked at next, and when it was last.
    stalled : (vms,) float64
        For how long some vCPU of each VM had waited by then (ns).
    wanted : (vms,) float64
        What each balloon is to hold, with the fraction that a target lacks.
    """

    pump: Pump
    every_ns: NDArray[np.float64]
    ratio: NDArray[np.float64]
    threshold: NDArray[np.float64]
    step: NDArray[np.float64]
    due_ns: NDArray[np.float64]
    last_ns: NDArray[np.float64]
    stalled: NDArray[np.float64]
    wanted: NDArray[np.float64]


def make(
    vms: int, seed: int, cap: float, rate: float, period: object, every: object, ratio: object, threshold: object, step: object
) -> State:
    """State of the policy."""
    return State(
        make_pump(cap, rate, period),
        np.array([a_period("reclaim.balloon.every", every)]),
        np.array([a_part("reclaim.balloon.ratio", ratio, "a guest's memory")]),
        np.array([a_part("reclaim.balloon.threshold", threshold, "the time")]),
        np.array([a_part("reclaim.balloon.step", step, "a guest's memory")]),
        np.zeros(1),
        np.zeros(1),
        np.zeros(vms),
        np.zeros(vms),
    )


@inner_apart
def set_targets(state: State, world: World, now: Now) -> None:
    """Set what each balloon is to hold, by how long its guest waited since the last time."""
    span = now.time_ns - state.last_ns[0]
    for vm in range(world.vms.size):
        guest = world.vms[vm]
        waited = (np.float64(guest.stalled_ns) - state.stalled[vm]) / span if span > 0 else 0.0
        state.stalled[vm] = np.float64(guest.stalled_ns)
        if np.int64(state.wanted[vm]) != guest.balloon_target:  # it was pressed, or out of memory, meanwhile
            state.wanted[vm] = np.float64(guest.balloon_target)
        calm = 1.0 - waited / state.threshold[0]
        size = np.float64(guest.limit - guest.ballooned)
        state.wanted[vm] += size * (state.ratio[0] * calm if calm > 0 else -state.step[0])
        set_target(world, np.int64(vm), state.wanted[vm])
        if np.int64(state.wanted[vm]) != guest.balloon_target:  # it may hold no more, or is empty
            state.wanted[vm] = np.float64(guest.balloon_target)
    state.last_ns[0] = now.time_ns
    state.due_ns[0] = now.time_ns + state.every_ns[0] / world.rules[0].speedup


@adjust.register
def _adjust(state: State, world: World, now: Now) -> float:
    if now.time_ns >= state.due_ns[0]:
        set_targets(state, world, now)
    return follow(state.pump, world, now)  # type: ignore[no-any-return]


@press.register
def _press(state: State, world: World, now: Now) -> bool:
    return press_guests(world, now)  # type: ignore[no-any-return]


@relieve.register
def _relieve(state: State, world: World, now: Now, vm: Int, pages: Int) -> bool:
    return give_back(world, now, vm, pages)  # type: ignore[no-any-return]
