"""Senpai: a little of each VM's memory is taken all the time, whether the host is short or not, the less the more the VM waits.

Every ``period`` the VM of a cgroup is made to give up

    resident x ratio x max(0, 1 - pressure / threshold),

at most a share ``most`` of it; the pressure is the share of that period in which some of its vCPUs waited for memory (PSI's
`some`). So a VM shrinks to what it can't do without noticing. Source: Weiner et al., TMO: Transparent Memory Offloading in
Datacenters, ASPLOS'22, section 3.3, with its settings as recalled: 6 s, 0.0005, 0.1 %, 1 %. Left out: their limit on what a
device may be written, and the pressure of other I/O. What goes is what `reclaim.replacement` names of the VM, and a host that is
full reclaims as `swap` does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner_apart
from memvirt.memory.evict import swap_some, swap_some_of
from memvirt.memory.log import has_room
from memvirt.memory.options import a_part, a_period
from memvirt.memory.reclaim import balance, make_room
from memvirt.memory.state import Now, World
from memvirt.typing import Int

PER_VM = True  #: each VM gives up its own pages


class State(NamedTuple):
    """Of the policy.

    Attributes
    ----------
    period_ns, ratio, threshold, most : (1,) float64
    due_ns : (1,) float64
        When the period ends; what is owed till then was worked out at its beginning.
    last_ns : (1,) float64
        When it began.
    stalled : (vms,) float64
        For how long some vCPU of each VM had waited for memory by then (ns).
    owed : (vms,) float64
        Pages that each VM is still to give, fractions kept.
    """

    period_ns: NDArray[np.float64]
    ratio: NDArray[np.float64]
    threshold: NDArray[np.float64]
    most: NDArray[np.float64]
    due_ns: NDArray[np.float64]
    last_ns: NDArray[np.float64]
    stalled: NDArray[np.float64]
    owed: NDArray[np.float64]


def make(vms: int, seed: int, period: object, ratio: object, threshold: object, most: object) -> State:
    """State of the policy."""
    return State(
        np.array([a_period("reclaim.period", period)]),
        np.array([a_part("reclaim.ratio", ratio, "a VM's memory")]),
        np.array([a_part("reclaim.threshold", threshold, "the period")]),
        np.array([a_part("reclaim.most", most, "a VM's memory")]),
        np.zeros(1),
        np.zeros(1),
        np.zeros(vms),
        np.zeros(vms),
    )


@inner_apart
def begin_period(state: State, world: World, now: Now) -> None:
    """Work out what each VM is to give, by how long it waited in the period that ends."""
    span = now.time_ns - state.last_ns[0]
    for vm in range(world.vms.size):
        guest = world.vms[vm]
        waited = np.float64(guest.stalled_ns) - state.stalled[vm]
        state.stalled[vm] = np.float64(guest.stalled_ns)
        calm = max(0.0, 1.0 - waited / span / state.threshold[0]) if span > 0 else 0.0
        whole = state.owed[vm] - np.floor(state.owed[vm])  # of what could not be given nothing is left but the fraction
        state.owed[vm] = whole + np.float64(guest.resident) * min(state.ratio[0] * calm, state.most[0])
    state.last_ns[0] = now.time_ns
    state.due_ns[0] = now.time_ns + state.period_ns[0] / world.rules[0].speedup


@balance.register
def _balance(state: State, world: World, now: Now) -> float:
    if now.time_ns >= state.due_ns[0]:
        begin_period(state, world, now)
    for number in range(world.vms.size):
        vm = np.int64(number)
        while state.owed[vm] >= 1.0:
            if not has_room(world):
                return now.time_ns  # on with it once the log was taken away
            if not swap_some_of(world, now, vm):
                break
            state.owed[vm] -= 1.0
    return state.due_ns[0]  # type: ignore[no-any-return]


@make_room.register
def _make_room(state: State, world: World, now: Now, order: Int) -> bool:
    return swap_some(world, now)  # type: ignore[no-any-return]
