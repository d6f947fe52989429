"""Whose page goes: one rule for host swap, compression and balloons alike, so that mechanisms are compared under one rule.

Which page of that VM goes is another matter: `reclaim.replacement` says so where the host takes it, and the guest where its balloon
does. The rules:

``global``
    The page that replacement names among those of all VMs: whose it is doesn't matter (Linux's kswapd outside of control groups).
``shares``
    A page of the VM with the fewest shares a page (min-funding revocation; Waldspurger, OSDI'02, section 5.1).
``tax``
    The same, where an idle page costs k = 1 / (1 - tax) times an active one: S / (P (f + k (1 - f))), f P being the active pages
    (OSDI'02, section 5.2), as the host estimates them (`memvirt.memory.sampling`).
``idle``
    A page of the VM with the most idle pages by that estimate.

A VM that holds no more than is reserved for it is asked last by host swap, and not at all by a balloon. A balloon asks every VM for
free memory first, then for clean page cache, before any guest must page out (as ESX's tax has it, and policies that go by what
guests report as free or cached: MOM, Proxmox); the rule decides among VMs that give equally cheap memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import ConfigError
from memvirt.jit import inner, inner_apart
from memvirt.memory.options import a_share
from memvirt.memory.page_cache import has_spare_files
from memvirt.memory.replacement import victim
from memvirt.memory.sampling import Sampler, estimate_active, make_sampler
from memvirt.memory.state import Now, World
from memvirt.typing import Int

RULES = ("global", "shares", "tax", "idle")
GLOBAL, SHARES, TAX, IDLE = map(np.int64, range(4))
OPTIONS: Mapping[str, tuple[str, ...]] = {"global": (), "shares": (), "tax": ("tax", "sampling"), "idle": ("sampling",)}
#: The sampler of rules that need none.
UNWATCHED = {"period": "1s", "samples": 1, "slow": 1.0, "fast": 1.0}
LOOKS = 10  #: at the pages sampled, in a period: the estimate rises within it (OSDI'02, section 5.3)

FREE_MEMORY, CLEAN_CACHE, GUEST_PAGES = map(np.int64, range(3))  #: what a balloon finds in a guest, the cheapest first
NOT_PRESSED = np.int64(-2)  #: an access before which no balloon was pressed in vain


class Victims(NamedTuple):
    """The rule, and what the host knows of idle memory.

    Attributes
    ----------
    rule : (1,) int64
        `GLOBAL`, `SHARES`, `TAX` or `IDLE`.
    idle_cost : (1,) float64
        What an idle page costs, an active one being 1.
    sampler : Sampler
        Of the rules that go by the estimate of active pages.
    """

    rule: NDArray[np.int64]
    idle_cost: NDArray[np.float64]
    sampler: Sampler


def make(vms: int, seed: int, name: str, **options: Any) -> Victims:
    """The rule of a name.

    Raises
    ------
    ConfigError
        If there is no such rule, or it has no such option.
    """
    if name not in RULES:
        raise ConfigError("reclaim.victims", name, "is none of its values", list(RULES))
    unknown = sorted(set(options) ^ set(OPTIONS[name]))
    if unknown:
        why = "there is no such key, or it must be set"
        raise ConfigError(f"reclaim.victims.{unknown[0]}", str(options.get(unknown[0], "")), why, list(OPTIONS[name]))
    tax = a_share("reclaim.victims.tax", options.get("tax", 0.0))
    sampler = make_sampler(options.get("sampling", UNWATCHED), vms, seed)
    return Victims(np.array([RULES.index(name)]), np.array([1.0 / (1.0 - tax)]), sampler)


@inner
def ease(world: World, vm: Int) -> Int:
    """What a balloon finds in a guest next."""
    guest = world.vms[vm]
    if guest.freed > 0:
        return FREE_MEMORY
    return CLEAN_CACHE if guest.cached > 0 or has_spare_files(world, vm) else GUEST_PAGES


@inner_apart
def price(world: World, vm: Int) -> float:
    """What a VM pays for a page: the least is asked first."""
    guest, victims = world.vms[vm], world.policies.victims
    held = np.float64(guest.resident - guest.saved)
    active = min(np.float64(guest.active), held) if victims.rule[0] >= TAX else held
    if victims.rule[0] == IDLE:
        return active - held  # type: ignore[no-any-return]
    return guest.shares / (active + victims.idle_cost[0] * (held - active))  # type: ignore[no-any-return]


@inner_apart
def first_asked(world: World, at: Int, in_reserve: bool, by_ease: bool) -> Int:
    """Name the VM that is to give a page; -1 if there is none.

    Parameters
    ----------
    world : World
    at : int
        Access before which VMs that were pressed in vain are passed over, or `NOT_PRESSED`.
    in_reserve : bool
        Whether one that holds no more than is reserved for it may be named, after all others.
    by_ease : bool
        Whether who has free memory comes first, then who has clean page cache.
    """
    chosen, first, least = np.int64(-1), GUEST_PAGES + 2, np.inf
    for number in range(world.vms.size):
        vm = np.int64(number)
        guest = world.vms[vm]
        held = guest.resident - guest.saved
        reserved = held <= guest.least
        if held <= 0 or guest.pressed == at + 1 or (reserved and not in_reserve):
            continue
        turn = np.int64(GUEST_PAGES + 1 if reserved else ease(world, vm) if by_ease else 0)
        cost = price(world, vm)
        if turn < first or (turn == first and cost < least):
            chosen, first, least = vm, turn, cost
    return chosen


@inner_apart
def first_pressed(world: World, at: Int) -> Int:
    """Name the VM whose balloon is to grow; -1 if none is left that could give anything."""
    chosen = first_asked(world, at, False, True)
    if chosen < 0 or world.policies.victims.rule[0] != GLOBAL or ease(world, chosen) != GUEST_PAGES:
        return np.int64(chosen)
    unit = np.int64(victim(world.policies.replacement))
    if 0 <= unit < world.frames.size:
        owner = np.int64(world.frames[unit].vm)
        guest = world.vms[owner]
        if guest.pressed != at + 1 and guest.resident - guest.saved > guest.least:
            return owner
    return np.int64(chosen)


@inner_apart
def watch_idle(world: World, now: Now) -> float:
    """Look at which of the sampled pages were touched, where the rule goes by that; when to look next (ns)."""
    victims = world.policies.victims
    if victims.rule[0] < TAX:
        return 1e300
    estimate_active(victims.sampler, world, now)
    return now.time_ns + victims.sampler.period_ns[0] / LOOKS / world.rules[0].speedup  # type: ignore[no-any-return]
