"""Which epoch of its own a VM is in, and the worst state that the host was in meanwhile.

The host's state is noted when it changes, in the epoch that each VM is then in, awake or asleep; so a spell of it shows, however
short it is, and a VM that sleeps through several epochs has each with its own states.
"""

from __future__ import annotations

import numpy as np

from memvirt.counters import Counter
from memvirt.jit import inner, inner_apart
from memvirt.memory.state import ONE, ZERO, World
from memvirt.typing import Int

FOREVER = 1 << 62
BEFORE = 1 - 1e-15  #: of a time: an epoch that begins when the state changes hasn't seen what it was


COUNTERS = (
    Counter(
        "memory_state",
        "state",
        doc="of `reclaim=esx`: 0 high, 1 soft, 2 hard, 3 low; the worst of the epoch, however short",
        epochs="max",
        vms="max",
    ),
)


@inner
def epoch_and_rest(world: World, vm: Int, time: float) -> tuple[Int, Int]:
    """Epoch of a VM's next access, and how many accesses of it are left."""
    guest, rules = world.vms[vm], world.rules[0]
    if guest.done < guest.warmup:
        return 0, guest.warmup - guest.done
    if guest.counted_from < 0:
        guest.counted_from = time
    counted = guest.done - guest.warmup
    if rules.epoch_accesses > 0:
        return 1 + counted // rules.epoch_accesses, rules.epoch_accesses - counted % rules.epoch_accesses
    return max(epoch_by(world, vm, time), np.int64(1)), FOREVER


@inner
def epoch_by(world: World, vm: Int, time: float) -> Int:
    """Epoch that a VM is in at a time (ns), even if it sleeps then."""
    guest, rules = world.vms[vm], world.rules[0]
    if rules.epoch_ns <= 0 or guest.counted_from < 0:
        return np.int64(guest.epoch)
    return max(np.int64(guest.epoch), np.int64(1 + (time - guest.counted_from) / rules.epoch_ns))


@inner_apart
def short_of_epochs(world: World, time: float) -> Int:
    """Name a VM that is about to be in an epoch for which there is no place, if only asleep; -1 if there is none."""
    if world.rules[0].epoch_ns > 0 and time >= world.clock[0].epochs_until:  # till then none is more than one further on
        for number in range(world.actors.size):
            actor = world.actors[number]
            if actor.position < actor.total and epoch_by(world, np.int64(actor.vm), time) + 2 >= world.counts.shape[1]:
                return np.int64(actor.vm)
        world.clock[0].epochs_until = time + world.rules[0].epoch_ns
    return np.int64(-1)


@inner_apart
def note_state(world: World, vm: Int, epoch: Int) -> None:
    """Write down the host's state in a VM's epochs up to this one, from the last one on in which it was noted."""
    guest, state = world.vms[vm], world.clock[0].state
    for lived in range(min(np.int64(guest.noted), epoch), epoch + 1):  # type: ignore[call-overload]
        counts = world.counts[vm, lived]
        counts.memory_state = max(np.int64(counts.memory_state), np.int64(state))
    guest.noted = max(np.int64(guest.noted), epoch)


@inner_apart
def note_states(world: World, time: float, begins: Int) -> None:
    """Write down the host's state for all VMs that aren't done, up to a time (ns), or to where they go on if that is sooner.

    ``begins``: it is in this state only since then.
    """
    last = np.int64(world.counts.shape[1] - 1)
    for number in range(world.actors.size):
        actor = world.actors[number]
        if actor.position < actor.total:
            vm, goes_on = np.int64(actor.vm), max(np.float64(actor.ready), np.float64(world.cpus[actor.cpu].clock))
            epoch = min(epoch_by(world, vm, min(time, goes_on)), last)
            if begins:
                world.vms[vm].noted = max(np.int64(world.vms[vm].noted), epoch)
            note_state(world, vm, epoch)


@inner_apart
def change_state(world: World, state: Int, time: float) -> None:
    """Have the host be in another state from a time (ns) on."""
    note_states(world, time * BEFORE, ZERO)
    world.clock[0].state = state
    note_states(world, time, ONE)
