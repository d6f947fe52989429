"""Far memory in software: what a VM hasn't touched for long enough is compressed, whether the host is short or not.

Every ``period`` the host reads and clears the accessed bits of all pages. A page's *age* is the number of such looks at which it
was found untouched. Of each VM two histograms follow: how many pages have each age, and how many were touched at each age (the
*promotions*, had pages of that age been far). The threshold of the next period is the least age at which promotions would have
stayed within a share ``target`` of the working set a minute, the working set being what was touched within one period; or that age
which was enough for a share ``percentile`` of the periods so far, if this is more. Pages of that age or more go, but for those
that don't compress below ``largest`` bytes. Nothing goes in a VM's first ``after``. A host that is full reclaims as `swap` does.

Source: Lagar-Cavilla et al., Software-Defined Far Memory in Warehouse-Scale Computers, ASPLOS'19, sections 4 and 5 (`kstaled`,
`kreclaimd`): 120 s, 0.2 % a minute, 2990 bytes. They tune the percentile and the first wait by a search over their fleet and give
no numbers: 0.98 and two periods are assumed. Left out: what reading the bits takes; large and merged pages, which stay.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.counters import Counter
from memvirt.jit import inner, inner_apart
from memvirt.memory.contents import compressed_size
from memvirt.memory.evict import swap_some
from memvirt.memory.frames import evict, has_slots
from memvirt.memory.log import has_room
from memvirt.memory.measure import measure
from memvirt.memory.options import a_count, a_part, a_period, a_time
from memvirt.memory.reclaim import balance, make_room
from memvirt.memory.sampling import SINCE_AGED, holds_something
from memvirt.memory.state import NOTHING, Now, World
from memvirt.typing import Int

COUNTERS = (
    Counter("cold_pages", "pages", doc="of all VMs, not touched for a period of `cold_age` or more", epochs="mean", vms="same"),
    Counter("far_pages", "pages", doc="those of them that are compressed or on swap", epochs="mean", vms="same"),
    Counter("aged_evictions", "pages", doc="that went for their age"),
)

AGES = 256  #: a page's age is a byte, as `kstaled` keeps it
MINUTE_NS = 60e9


class State(NamedTuple):
    """Of the policy.

    Attributes
    ----------
    period_ns, target, percentile, largest, after_ns : (1,) float64
    due_ns : (1,) float64
        When the host looks next.
    next_frame : (1,) int64
        The guest frame from which on old ones are still to go; none is where it is past the last.
    totals : (2,) int64
        Cold pages, and far ones, of all VMs.
    age : (frames,) uint8
    promotions : (vms, AGES) int64
        Pages touched at each age in the period that ended last.
    enough : (vms, AGES) int64
        For how many periods each age was the least that would have done.
    threshold : (vms,) int64
        From which age on pages go; `AGES` for none.
    """

    period_ns: NDArray[np.float64]
    target: NDArray[np.float64]
    percentile: NDArray[np.float64]
    largest: NDArray[np.float64]
    after_ns: NDArray[np.float64]
    due_ns: NDArray[np.float64]
    next_frame: NDArray[np.int64]
    totals: NDArray[np.int64]
    age: NDArray[np.uint8]
    promotions: NDArray[np.int64]
    enough: NDArray[np.int64]
    threshold: NDArray[np.int64]


def make(
    vms: int, seed: int, period: object, target: object, percentile: object, largest: object, after: object, *, frames: int = 1
) -> State:
    """State of the policy, for so many guest frames."""
    every = a_period("reclaim.period", period)
    return State(
        np.array([every]),
        np.array([a_part("reclaim.target", target, "the working set")]),
        np.array([a_part("reclaim.percentile", percentile, "the periods so far")]),
        np.array([float(a_count("reclaim.largest", largest, 4096))]),
        np.array([a_time("reclaim.after", after)]),
        np.array([every]),
        np.array([frames]),
        np.zeros(2, np.int64),
        np.zeros(frames, np.uint8),
        np.zeros((vms, AGES), np.int64),
        np.zeros((vms, AGES), np.int64),
        np.full(vms, AGES),
    )


@inner_apart
def grow_older(state: State, world: World) -> None:
    """Read and clear all accessed bits: count promotions, and set every page's age."""
    state.promotions[:, :] = 0
    state.totals[:] = 0
    for number in range(state.age.size):
        frame = world.frames[number]
        touched, age = (frame.accessed & SINCE_AGED) != 0, np.int64(state.age[number])
        frame.accessed &= ~SINCE_AGED
        if not holds_something(world, number):
            state.age[number] = 0
        elif touched:
            state.promotions[frame.vm, age] += 1
            state.age[number] = 0
        else:
            state.age[number] = age + 1 if age < AGES - 1 else age
            state.totals[0] += 1
            state.totals[1] += frame.packed != 0 or frame.hfn == NOTHING


@inner
def least_age(state: State, vm: Int, minutes: float) -> Int:
    """Age at and beyond which no more was touched in a period than its target allows; 1 at the least, `AGES` if none is."""
    working_set, beyond = np.int64(0), np.int64(0)
    for age in range(AGES):
        working_set += state.promotions[vm, age]  # what was touched in the period is young now
    allowed = state.target[0] * working_set * minutes
    least = np.int64(AGES)
    while least > 1 and beyond + state.promotions[vm, least - 1] <= allowed:
        least -= 1
        beyond += state.promotions[vm, least]
    return least


@inner
def usual_age(state: State, vm: Int) -> Int:
    """Age that was enough for the policy's percentile of the periods so far."""
    periods, covered = np.int64(0), np.int64(0)
    for age in range(AGES):
        periods += state.enough[vm, age]
    for age in range(AGES):
        covered += state.enough[vm, age]
        if covered >= state.percentile[0] * periods:
            return np.int64(age)
    return np.int64(AGES)


@inner_apart
def set_thresholds(state: State, world: World, now: Now) -> None:
    """Choose from which age on each VM's pages go."""
    for number in range(world.vms.size):
        vm = np.int64(number)
        least = least_age(state, vm, state.period_ns[0] / MINUTE_NS)
        state.enough[vm, min(least, AGES - 1)] += 1
        state.threshold[vm] = max(least, usual_age(state, vm)) if now.time_ns >= state.after_ns[0] else AGES


@inner
def goes(state: State, world: World, number: Int) -> bool:
    """Whether a guest frame is in memory, a small page of its own, old enough, and small enough when compressed."""
    frame = world.frames[number]
    alone = frame.hfn != NOTHING and frame.order == 0 and frame.sharer == NOTHING
    old = alone and state.age[number] >= state.threshold[frame.vm] and holds_something(world, number)
    return old and compressed_size(world, number) <= state.largest[0]  # type: ignore[no-any-return]


@balance.register
def _balance(state: State, world: World, now: Now) -> float:
    if now.time_ns >= state.due_ns[0]:
        grow_older(state, world)
        set_thresholds(state, world, now)
        state.next_frame[0] = 0
        state.due_ns[0] += state.period_ns[0] / world.rules[0].speedup
    while state.next_frame[0] < state.age.size:
        number = np.int64(state.next_frame[0])
        if not has_room(world):
            return now.time_ns  # on with it once the log was taken away
        if goes(state, world, number) and has_slots(world, number):
            vm = np.int64(world.frames[number].vm)
            evict(world, now, number)
            world.counts[vm, np.int64(world.vms[vm].epoch)].aged_evictions += 1
        state.next_frame[0] += 1
    return state.due_ns[0]  # type: ignore[no-any-return]


@make_room.register
def _make_room(state: State, world: World, now: Now, order: Int) -> bool:
    return swap_some(world, now)  # type: ignore[no-any-return]


@measure.register
def _measure(state: State, counts: Any) -> None:
    counts.cold_pages = state.totals[0]
    counts.far_pages = state.totals[1]
