"""Whose page goes, where a policy leaves that to replacement."""

from __future__ import annotations

import numpy as np

from memvirt.jit import inner_apart
from memvirt.memory.frames import evict, has_slots
from memvirt.memory.replacement import victim, victim_of
from memvirt.memory.share import split
from memvirt.memory.state import NOTHING, Now, World
from memvirt.memory.victims import NOT_PRESSED, first_asked
from memvirt.typing import Int


@inner_apart
def swap_some_of(world: World, now: Now, vm: Int) -> bool:
    """Evict the page of a VM that replacement names; False if it has none, or swap is full."""
    unit = np.int64(victim_of(world.policies.replacement, vm))
    if unit < 0 or not has_slots(world, unit):
        return False
    evict(world, now, unit)
    return True


@inner_apart
def break_and_swap_of(world: World, now: Now, vm: Int) -> bool:
    """Evict a page of a VM, a small one: a large page that replacement names is broken first; False if the VM has none."""
    unit = np.int64(victim_of(world.policies.replacement, vm))
    if unit < 0 or not has_slots(world, unit):
        return False
    if world.frames[unit].order > 0 and world.rules[0].split:
        split(world, now, unit)
    if world.frames[unit].hfn != NOTHING:
        evict(world, now, unit)
    return True


@inner_apart
def swap_some(world: World, now: Now) -> bool:
    """Evict the page that replacement names; False if there is none, or swap is full."""
    if world.rules[0].per_vm:
        first = first_asked(world, NOT_PRESSED, True, False)
        for step in range(world.vms.size if first >= 0 else 0):  # what the first holds may lie behind too many guest frames
            if swap_some_of(world, now, (first + step) % world.vms.size):
                return True
        return False
    resident = np.int64(0)
    for number in range(world.vms.size):
        resident += world.vms[number].resident
    if resident == 0:
        return False
    unit = np.int64(victim(world.policies.replacement))
    if unit < 0 or unit >= world.frames.size or not has_slots(world, unit):  # all that is left lies behind too many guest frames
        return False
    evict(world, now, unit)
    return True
