"""Moving a vCPU to another CPU, and the one state of all schedulers, so that kernels are compiled once for them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.counters import Counter
from memvirt.jit import inner, inner_apart
from memvirt.memory.scheduler import rebalance
from memvirt.memory.state import Now, World
from memvirt.memory.turns import join_cpu, leave_cpu, set_due
from memvirt.typing import Int

COUNTERS = (
    Counter("vcpu_moves", "moves", doc="of a vCPU to another CPU"),
    Counter("vcpu_moves_to_other_node", "moves", doc="of those, to another node's"),
)
PERIOD, OWN, MEMORY, GAIN = range(4)


class Moves(NamedTuple):
    """How vCPUs are moved: one at a time, to the CPU that is least of a burden.

    A CPU is as much of a burden to a vCPU as it has other vCPUs that want to run, and as much of the vCPU's memory of late is on
    other nodes.

    Attributes
    ----------
    rule : (4,) float64
        ns from one look to the next; what a vCPU counts for on the CPU that it is on; what memory all of which is remote counts
        for; what must be gained for a move.
    turn : (1,) int64
        The vCPU that is looked at next.
    waiting : (cpus,) int64
        vCPUs of each CPU that aren't done.
    then : (vcpus,) int64
        CPU to which each vCPU goes for good after the first period; of size 0 where none does.
    """

    rule: NDArray[np.float64]
    turn: NDArray[np.int64]
    waiting: NDArray[np.int64]
    then: NDArray[np.int64]


def make_moves(cpus: int, period_ns: float = np.inf, own: float = 0.0, memory: float = 0.0, gain: float = 0.0) -> Moves:
    """State of a scheduler; without a period it moves nothing."""
    rule, turn, waiting = np.array([period_ns, own, memory, gain]), np.zeros(1, np.int64), np.zeros(cpus, np.int64)
    return Moves(rule, turn, waiting, np.zeros(0, np.int64))


@rebalance.register
def _rebalance(state: Moves, world: World, now: Now) -> float:
    if state.rule[PERIOD] == np.inf:
        return np.inf
    if state.then.size > 0:
        return move_all(state, world, now)  # type: ignore[no-any-return]
    for cpu in range(state.waiting.size):
        state.waiting[cpu] = 0
    for number in range(world.actors.size):
        state.waiting[world.actors[number].cpu] += np.int64(wants_to_run(world, np.int64(number)))
    for _ in range(world.actors.size):
        chosen = np.int64(state.turn[0])
        state.turn[0] = (chosen + 1) % world.actors.size
        if wants_to_run(world, chosen):
            best = best_cpu(state, world, chosen)
            if best != np.int64(world.actors[chosen].cpu):
                move_vcpu(world, chosen, best)
                break
    for number in range(world.touched.shape[0]):  # what was touched a period ago counts half
        for node in range(world.touched.shape[1]):
            world.touched[number, node] >>= 1
    return now.time_ns + state.rule[PERIOD]  # type: ignore[no-any-return]


@inner_apart
def move_all(state: Moves, world: World, now: Now) -> float:
    """Have all vCPUs go where they go after the first period, once; returns when that is, or never (ns)."""
    if now.time_ns < state.rule[PERIOD]:
        return state.rule[PERIOD]  # type: ignore[no-any-return]
    for number in range(state.then.size):
        if wants_to_run(world, np.int64(number)) and world.actors[number].cpu != state.then[number]:
            move_vcpu(world, np.int64(number), np.int64(state.then[number]))
    return np.inf


@inner
def wants_to_run(world: World, number: Int) -> bool:
    """Whether a vCPU isn't done."""
    return world.actors[number].position < world.actors[number].total  # type: ignore[no-any-return, return-value]


@inner_apart
def best_cpu(state: Moves, world: World, number: Int) -> Int:
    """Name the CPU that is least of a burden to a vCPU; of several its own, else the one that has been idle for longest."""
    here, touches = np.int64(world.actors[number].cpu), np.int64(0)
    for node in range(world.touched.shape[1]):
        touches += world.touched[number, node]
    best, least = here, np.inf
    for cpu in range(state.waiting.size):
        others = np.float64(state.waiting[cpu])
        if cpu == here:
            others += state.rule[OWN] - 1.0 - state.rule[GAIN]
        away = touches - world.touched[number, world.cpus[cpu].node]
        burden = others + state.rule[MEMORY] * away / max(touches, 1)
        longer_idle = best != here and world.cpus[cpu].clock < world.cpus[best].clock
        if burden < least or (burden == least and (cpu == here or longer_idle)):
            best, least = np.int64(cpu), burden
    return best


@inner_apart
def move_vcpu(world: World, number: Int, cpu: Int) -> None:
    """Have a vCPU go on on another CPU, not before it got as far as it is on its own."""
    actor, before = world.actors[number], np.int64(world.actors[number].cpu)
    leave_cpu(world, number)
    actor.cpu = cpu
    join_cpu(world, number)
    actor.ready = max(np.float64(actor.ready), np.float64(world.cpus[before].clock))
    set_due(world, before)
    set_due(world, cpu)
    counts = world.counts[actor.vm, world.vms[actor.vm].epoch]
    counts.vcpu_moves += 1
    counts.vcpu_moves_to_other_node += np.int64(world.cpus[before].node != world.cpus[cpu].node)


@inner_apart
def others_of(world: World, number: Int) -> Int:
    """How many CPUs a VM's vCPUs are on besides that of one of them."""
    actor, found = world.actors[number], np.int64(0)
    first = number - np.int64(actor.vcpu)
    for other in range(first, first + np.int64(actor.vcpus)):
        cpu, known = world.actors[other].cpu, world.actors[other].cpu == actor.cpu
        for earlier in range(first, other):
            known = known or world.actors[earlier].cpu == cpu
        found += np.int64(not known)
    return found
