"""VMware ESX: how short the host is of memory decides the mechanism, shares and a tax on idle memory decide whose memory goes.

Free memory puts the host into one of four states (`memvirt.memory.reclaim._states`). In all of them page sharing goes on in the
background. In ``high`` nothing else does; in ``soft`` the balloons of VMs above their targets inflate, and a VM whose balloon
gives no more is swapped; in ``hard`` large pages are broken and pages go, to the compression cache where they fit and to swap,
until ``soft`` is reached; in ``low`` VMs above their targets don't run until the host has looked at its memory again. Targets
(`memvirt.memory.entitlement`) are such that free memory reaches the threshold of ``high``; they are set anew every ``period``,
when the state changes and when free memory changed by as much as the threshold of ``low``.

The host looks at its memory every ``tick`` of the VMs' time, as it would at each allocation; periods and sampling are background
work. Sources: Waldspurger, OSDI'02, sections 5 and 6.3; VMware, "Understanding Memory Resource Management in VMware vSphere 5.0"
and "vSphere Resource Management" (Mem.BalancePeriod 15 s, Mem.IdleTax 75 %). An assumption: what a VM demands is what it holds,
what the host took from it, and what its guest swapped out while a balloon pressed it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import ConfigError
from memvirt.jit import inner, inner_apart
from memvirt.memory.balloon import press
from memvirt.memory.device import wait_until
from memvirt.memory.entitlement import Claims, divide, make_claims
from memvirt.memory.epochs import change_state
from memvirt.memory.evict import break_and_swap_of, swap_some
from memvirt.memory.log import has_room
from memvirt.memory.options import a_period, a_scale, a_share, a_time
from memvirt.memory.pressure import note_away, note_turn
from memvirt.memory.reclaim import balance, make_room
from memvirt.memory.reclaim._states import HARD, HIGH, LOW, PAGES_A_MIB, SOFT, next_state, set_thresholds
from memvirt.memory.sampling import Sampler, estimate_active, make_sampler
from memvirt.memory.state import ONE, Now, World
from memvirt.memory.turns import set_due
from memvirt.typing import Int

PER_VM = True  #: victims are named of the VM above its target, not of all

#: What the config fixes.
FIXED = np.dtype(
    [
        ("sliding", "<i8"),  # whether minFree is a sliding scale
        ("scale", "<f8"),  # how many times smaller than a real one the host is
        ("tax", "<f8"),  # on idle memory
        ("tax_from", "<f8"),  # from when on it is raised (ns)
        ("period", "<f8"),  # between settings of targets (ns of background time)
        ("tick", "<f8"),  # between looks at free memory (ns of the VMs' time)
    ],
    align=True,
)

#: What changes.
VARIES = np.dtype(
    [
        ("targets_due", "<f8"),  # when targets are set next (ns)
        ("free", "<i8"),  # free frames when they were set last
        ("balloon_due", "<f8"),  # what the balloons' next due time was when they were last adjusted (ns)
    ],
    align=True,
)

#: A VM's balloon.
BALLOONED = np.dtype(
    [
        ("held", "<i8"),  # pages in it when it was last adjusted
        ("pressed", "<i8"),  # whether it wanted more then
        ("stuck", "<i8"),  # whether it gave none, so that the host swaps
        ("spent", "<i8"),  # whether the VM has no page that could be taken
    ],
    align=True,
)


class State(NamedTuple):
    """Of the policy.

    Attributes
    ----------
    fixed : (1,) FIXED
    varies : (1,) VARIES
    levels : (4,) float64
        Thresholds of the states, in pages.
    balloons : (vms,) BALLOONED
    claims : Claims
    sampler : Sampler
    """

    fixed: NDArray[np.void]
    varies: NDArray[np.void]
    levels: NDArray[np.float64]
    balloons: NDArray[np.void]
    claims: Claims
    sampler: Sampler


def make(
    vms: int, seed: int, states: str, scale: object, tax: object, tax_from: object, period: object, tick: object, sampling: object
) -> State:
    """State of the policy."""
    if states not in ("esx5", "esx4"):
        raise ConfigError("reclaim.states", states, "is none of its values", ["esx5", "esx4"])
    fixed, varies = np.zeros(1, FIXED).view(np.recarray), np.zeros(1, VARIES).view(np.recarray)
    fixed.sliding, fixed.scale, fixed.tax = states == "esx5", a_scale("reclaim.scale", scale), a_share("reclaim.tax", tax)
    fixed.tax_from = a_time("reclaim.tax_from", tax_from, 0.0)
    fixed.period, fixed.tick = a_period("reclaim.period", period), a_period("reclaim.tick", tick)
    balloons = np.zeros(vms, BALLOONED).view(np.recarray)
    return State(fixed, varies, np.zeros(4), balloons, make_claims(vms), make_sampler(sampling, vms, seed))


@inner
def held(world: World, vm: Int) -> Int:
    """Host frames that a VM is charged for."""
    return np.int64(world.vms[vm].resident - world.vms[vm].saved)


@inner
def excess(state: State, world: World, vm: Int) -> float:
    """Pages that a VM holds above its target."""
    return held(world, vm) - state.claims.target[vm]  # type: ignore[no-any-return]


@inner_apart
def set_targets(state: State, world: World, now: Now) -> None:
    """Divide what VMs hold and what is free, less what is to stay free, among them."""
    claims, fixed, varies = state.claims, state.fixed[0], state.varies[0]
    available = np.float64(world.clock[0].free) - state.levels[HIGH]
    for vm in range(world.vms.size):
        guest = world.vms[vm]
        has = held(world, vm)
        taken = guest.swapped + guest.compressed + min(guest.guest_swapped - guest.copies, guest.ballooned)
        most = min(guest.limit, guest.most) if guest.most > 0 else guest.limit
        claims.shares[vm], claims.active[vm], claims.most[vm] = guest.shares, guest.active, most
        claims.demand[vm] = min(has + taken, most)
        claims.least[vm] = min(guest.least, most)
        available += has
    divide(claims, max(available, 0.0), fixed.tax if now.time_ns >= fixed.tax_from else 0.0)
    varies.free = world.clock[0].free
    varies.targets_due = now.time_ns + fixed.period / world.rules[0].speedup


@inner_apart
def watch(state: State, world: World, now: Now) -> Int:
    """Look at free memory: the host's state from now on, and targets, where it is time for new ones."""
    clock, levels, varies = world.clock[0], state.levels, state.varies[0]
    if levels[HIGH] == 0:
        scale = state.fixed[0].scale
        set_thresholds(levels, state.fixed[0].sliding != 0, clock.total * scale / PAGES_A_MIB)
        for step in range(levels.size):
            levels[step] *= PAGES_A_MIB / scale
    now_in = next_state(np.int64(clock.state), np.float64(clock.free), levels)
    if now_in != clock.state or now.time_ns >= varies.targets_due or abs(clock.free - varies.free) > levels[LOW]:
        set_targets(state, world, now)
    if now_in != clock.state:
        change_state(world, now_in, now.time_ns)
    return np.int64(now_in)


@inner_apart
def note_balloons(state: State, world: World) -> None:
    """See whether the balloons that were to grow did, if they were adjusted since."""
    due = np.float64(world.clock[0].balloon_due)
    if due == state.varies[0].balloon_due and due < 1e300:
        return
    state.varies[0].balloon_due = due
    for vm in range(world.vms.size):
        guest, balloon = world.vms[vm], state.balloons[vm]
        wants = guest.balloon_target > guest.ballooned
        balloon.stuck = wants and balloon.pressed and guest.ballooned <= balloon.held
        balloon.held, balloon.pressed = guest.ballooned, wants


@inner_apart
def aim_balloons(state: State, world: World, now_in: Int) -> None:
    """Tell the balloons what to hold: what is above a VM's target, or no more than leaves its guest that much."""
    for vm in range(world.vms.size):
        guest, above = world.vms[vm], excess(state, world, np.int64(vm))
        if now_in >= SOFT and above > 0:
            guest.balloon_target = guest.ballooned + np.int64(np.ceil(above))
        else:
            leaves = guest.limit - np.int64(state.claims.target[vm])
            guest.balloon_target = min(np.int64(guest.ballooned), max(np.int64(leaves), np.int64(0)))


@inner
def furthest_above(state: State, world: World, all_of_them: bool | np.bool_) -> Int:
    """Name the VM furthest above its target, of all or of those whose balloon gives no more; -1 if none is."""
    chosen, most = -1, 0.0
    for vm in range(world.vms.size):
        if (all_of_them or state.balloons[vm].stuck) and not state.balloons[vm].spent:
            above = excess(state, world, np.int64(vm))
            if above > most:
                chosen, most = vm, above
    return np.int64(chosen)


@inner_apart
def take_pages(state: State, world: World, now: Now, now_in: Int) -> Int:
    """Compress and swap until the state is to be left, or nobody is above a target; pages taken, -1 if the log ran full before."""
    forced = now_in >= HARD
    goal = state.levels[SOFT] if forced else state.levels[HIGH]
    for number in range(world.vms.size):
        state.balloons[number].spent = 0
    taken = 0
    while world.clock[0].free < goal:
        vm = furthest_above(state, world, forced)
        if vm < 0:
            break
        if not has_room(world):
            return np.int64(-1)
        if break_and_swap_of(world, now, vm):
            taken += 1
        else:
            state.balloons[vm].spent = 1
    return np.int64(taken)


@inner_apart
def block(state: State, world: World, now: Now, until: float) -> None:
    """Keep VMs above their targets from running for a while, which is time that they wait for memory."""
    for number in range(world.actors.size):
        actor = world.actors[number]
        if actor.position < actor.total and excess(state, world, np.int64(actor.vm)) > 0:
            since = max(np.float64(actor.ready), now.time_ns)
            if until > since:
                actor.ready = until
                set_due(world, np.int64(actor.cpu))
                vm, epoch = np.int64(actor.vm), np.int64(world.vms[actor.vm].epoch)
                world.counts[vm, epoch].stall_ns += np.int64(until - since)
                world.counts[vm, epoch].elapsed_ns += np.int64(until - since)
                note_turn(world, vm, epoch, since, until)
                note_away(world, np.int64(number), epoch, since, until, ONE)


@balance.register
def _balance(state: State, world: World, now: Now) -> float:
    estimate_active(state.sampler, world, now)
    now_in = watch(state, world, now)
    note_balloons(state, world)
    aim_balloons(state, world, now_in)
    following = now.time_ns + state.fixed[0].tick
    if now_in >= SOFT:
        taken = take_pages(state, world, now, now_in)
        if taken < 0:
            return now.time_ns  # on with it once the log was taken away
        if now_in == LOW and taken > 0:
            block(state, world, now, following)
    return following  # type: ignore[no-any-return]


@make_room.register
def _make_room(state: State, world: World, now: Now, order: Int) -> bool:
    watch(state, world, now)
    if excess(state, world, np.int64(now.vm)) > 0:
        wait_until(world, np.float64(world.clock[0].reclaim_due))
    vm = furthest_above(state, world, True)
    if vm >= 0 and break_and_swap_of(world, now, vm):
        return True
    return swap_some(world, now) or press(world.policies.balloon, world, now)
