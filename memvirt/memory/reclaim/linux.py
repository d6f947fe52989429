"""A Linux/KVM host: KSM, balloons moved by a policy in user space, and the kernel's own swap.

The balloons follow the default policy of MOM, oVirt's memory overcommit manager (vdsm, `02-balloon.policy`; oVirt/mom,
`doc/balloon.rules` and `doc/mom-balloon.conf`): every ``period``, if less than a share ``pressure`` of the host is free, each
guest is shrunk to what it uses and a part of ``guest_free`` that is the smaller the less is free, below what it uses where only
``critical`` is free; else it grows again. A step is at most a share ``step`` of what the guest has, and one below ``least_step``
isn't made. MOM averages over ten readings; here the present ones count.

The kernel swaps between watermarks (mm/page_alloc.c, `__setup_per_zone_wmarks`): the reserve is 4 sqrt(KiB of memory) KiB, the
low and the high watermark lie one and two gaps above it, a gap being a quarter of it or ``watermark_scale`` 10,000ths of memory.
Only the kernel may use the reserve, so the host's frames for data are taken to be without it. Below the low watermark kswapd
reclaims up to the high one; it is woken by allocations, for which a look every ``tick`` of the VMs' time stands. A fault that
finds no frame reclaims by itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import ConfigError
from memvirt.jit import inner, inner_apart, kernel
from memvirt.memory.evict import swap_some
from memvirt.memory.log import has_room
from memvirt.memory.options import a_period, a_scale, a_share, above_zero
from memvirt.memory.reclaim import balance, make_room
from memvirt.memory.sampling import Sampler, estimate_active, make_sampler
from memvirt.memory.state import Now, World
from memvirt.typing import Int

KIB_A_PAGE = 4

#: What the config fixes.
FIXED = np.dtype(
    [
        ("scale", "<f8"),  # how many times smaller than a real one the host is
        ("pressure", "<f8"),  # share of free memory below which guests shrink
        ("critical", "<f8"),  # share below which they shrink to less than what they use
        ("guest_free", "<f8"),  # share of its memory that a guest is left free
        ("step", "<f8"),  # largest step, as a share of what a guest has
        ("least_step", "<f8"),  # least step, likewise
        ("watermark_scale", "<f8"),  # least distance of the watermarks, in 10,000ths of memory
        ("period", "<f8"),  # between steps of the balloons (ns of background time)
        ("tick", "<f8"),  # between looks at free memory (ns of the VMs' time)
    ],
    align=True,
)


class State(NamedTuple):
    """Of the policy.

    Attributes
    ----------
    fixed : (1,) FIXED
    due_ns : (1,) float64
        When the balloons are moved next.
    awake : (1,) int64
        Whether kswapd reclaims.
    sampler : Sampler
    """

    fixed: NDArray[np.void]
    due_ns: NDArray[np.float64]
    awake: NDArray[np.int64]
    sampler: Sampler


def make(vms: int, seed: int, sampling: object, **options: object) -> State:
    """State of the policy."""
    names = FIXED.names or ()
    if set(options) != set(names):
        wrong = sorted(set(options) ^ set(names))[0]
        raise ConfigError(f"reclaim.{wrong}", str(options.get(wrong, "")), "there is no such key, or it must be set", names)
    fixed = np.zeros(1, FIXED).view(np.recarray)
    for name in ("pressure", "critical", "guest_free", "step", "least_step"):
        fixed[name] = a_share(f"reclaim.{name}", options[name])
    fixed.scale = a_scale("reclaim.scale", options["scale"])
    fixed.watermark_scale = above_zero("reclaim.watermark_scale", options["watermark_scale"])
    for name in ("period", "tick"):
        fixed[name] = a_period(f"reclaim.{name}", options[name])
    return State(fixed, np.zeros(1), np.zeros(1, np.int64), make_sampler(sampling, vms, seed))


@kernel
def watermark_gap(pages: float, watermark_scale: float) -> float:
    """Pages between the kernel's watermarks."""
    least = min(max(4.0 * np.sqrt(pages * KIB_A_PAGE), 128.0), 262144.0) / KIB_A_PAGE
    return max(least / 4.0, pages * watermark_scale / 10000.0)  # type: ignore[no-any-return]


@kernel
def guest_size(fixed: NDArray[np.void], free: float, size: float, used: float, least: float, most: float) -> float:
    """Pages that a guest should have, which has ``size`` and uses ``used`` of them, if a share ``free`` of the host is free."""
    rule = fixed[0]
    if free < rule.pressure:
        spare = free - rule.critical if free <= rule.critical else rule.guest_free * free / rule.pressure
        wanted = max(least, used + spare * size)
        new = min(max(size * (1.0 - rule.step), wanted), size)
    else:
        wanted = used + rule.guest_free * size
        new = min(max(size * (1.0 + rule.step), wanted), most)
    return new if abs(new - size) > rule.least_step * size else size


@inner_apart
def move_balloons(state: State, world: World) -> None:
    """Set what each guest's balloon is to hold."""
    free = np.float64(world.clock[0].free) / world.clock[0].total
    for vm in range(world.vms.size):
        guest = world.vms[vm]
        size, limit = np.float64(guest.limit - guest.ballooned), np.float64(guest.limit)
        new = guest_size(state.fixed, free, size, np.float64(guest.used), np.float64(guest.least), limit)
        guest.balloon_target = np.int64(limit - new)


@inner
def gap(state: State, world: World) -> float:
    """Pages between the watermarks of this host."""
    scale = state.fixed[0].scale
    return watermark_gap(world.clock[0].total * scale, state.fixed[0].watermark_scale) / scale  # type: ignore[no-any-return]


@inner_apart
def reclaim_to_high(state: State, world: World, now: Now) -> bool:
    """Do kswapd's work; False if the log ran full before it was done."""
    distance = gap(state, world)
    if world.clock[0].free < distance:
        state.awake[0] = 1
    while state.awake[0] and world.clock[0].free < 2 * distance:
        if not has_room(world):
            return False
        if not swap_some(world, now):
            break
    state.awake[0] = 0
    return True


@balance.register
def _balance(state: State, world: World, now: Now) -> float:
    estimate_active(state.sampler, world, now)
    if now.time_ns >= state.due_ns[0]:
        move_balloons(state, world)
        state.due_ns[0] = now.time_ns + state.fixed[0].period / world.rules[0].speedup
    if not reclaim_to_high(state, world, now):
        return now.time_ns  # on with it once the log was taken away
    return now.time_ns + state.fixed[0].tick  # type: ignore[no-any-return]


@make_room.register
def _make_room(state: State, world: World, now: Now, order: Int) -> bool:
    return swap_some(world, now)  # type: ignore[no-any-return]
