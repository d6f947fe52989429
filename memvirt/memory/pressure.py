"""How long a VM is held up by memory as a whole: while some of its vCPUs wait, and while all that don't sleep do.

These are the two states of Linux's PSI, over a VM's vCPUs as its tasks: `some`, if one or more are delayed; `full`, if one or more
are and none is productive (kernel/sched/psi.c, "Model"; Documentation/accounting/psi.rst). The kernel keeps them for each CPU and
weights them by the time that the CPU isn't idle, so of vCPUs with a CPU each both read as the share that waits: column `pressure`.

A vCPU's turns begin in the order of their times over the whole host. So what a vCPU was last away for, waiting or asleep, is still
known when any other's absence beside it is noted, and each stretch is counted once: by whose was noted last.
"""

from __future__ import annotations

import numpy as np

from memvirt.counters import Counter
from memvirt.jit import inner, inner_apart
from memvirt.memory.state import World
from memvirt.typing import Int

COUNTERS = (
    Counter("stall_some_ns", "ns", doc="time in which one or more of the VM's vCPUs waited for memory"),
    Counter("stall_full_ns", "ns", doc="time in which one or more did, and all others were asleep or waited too"),
    Counter("awake_ns", "ns", doc="time in which one or more of its vCPUs weren't asleep"),
    Counter("span_ns", "ns", doc="length of the epoch, the VM's sleep in it included"),
)


@inner_apart
def note_away(world: World, number: Int, epoch: Int, since: float, until: float, stalled: Int) -> None:
    """Note that a vCPU waits for memory (``stalled``) or sleeps for a while (ns), and for how long that holds up its VM."""
    actor = world.actors[number]
    first = number - actor.vcpu
    at, some, full = since, 0.0, 0.0
    while at < until:
        end, away, waiting = until, 1, np.int64(stalled)
        for other in range(first, first + actor.vcpus):
            beside = world.actors[other]
            if other == number:
                continue
            if at < beside.away_from:
                end = min(end, np.float64(beside.away_from))
            elif at < beside.away_until:
                end = min(end, np.float64(beside.away_until))
                away += 1
                waiting += beside.stalled
            elif beside.position >= beside.total:  # it is done
                away += 1
        if stalled and waiting == 1:
            some += end - at
        if waiting > 0 and away == actor.vcpus:
            full += end - at
        at = end
    if stalled != actor.stalled or since > actor.away_until:  # else it goes on
        actor.away_from = since
    actor.away_until, actor.stalled = until, stalled
    counts = world.counts[np.int64(actor.vm), epoch]
    counts.stall_some_ns += np.int64(some)
    world.vms[np.int64(actor.vm)].stalled_ns += some
    counts.stall_full_ns += np.int64(full)


@inner
def note_turn(world: World, vm: Int, epoch: Int, since: float, until: float) -> None:
    """Note that a vCPU isn't asleep from when its turn begins until it may go on (ns); turns come in the order of their times."""
    guest, counts = world.vms[vm], world.counts[vm, epoch]
    if until > guest.lived_until:
        counts.awake_ns += np.int64(until - max(since, np.float64(guest.lived_until)))
        if world.rules[0].epoch_ns <= 0:
            counts.span_ns += np.int64(until - guest.lived_until)
        guest.lived_until = until
