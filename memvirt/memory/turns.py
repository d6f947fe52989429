"""Whose turn it is: a tournament of the CPUs by when each can go on, so that no look at all vCPUs is needed for each visit.

`World.due` is a binary tree in one array. A leaf is a CPU's: the soonest time (ns) at which one of its vCPUs can go on, not before
its own clock; infinity where there is none. Each node above holds the lesser of its two, so the first one says who is next. Who
changes a CPU's clock, or when a vCPU is ready, calls `set_due`. The vCPUs of a CPU stand in a ring, in the order of their numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner, inner_apart
from memvirt.memory.records import Actor, Cpu
from memvirt.memory.state import NOTHING, World
from memvirt.typing import Int, Records


def rings(cpus: Records[Cpu], actors: Records[Actor]) -> None:
    """Put the vCPUs of each CPU into a ring; its first turn is the first one's, or the second one's where vCPU 0 is among them."""
    cpus.ring = -1
    for cpu in np.unique(actors.cpu):
        members = np.flatnonzero(actors.cpu == cpu)
        actors.beside[members] = np.roll(members, -1)
        cpus.ring[cpu] = members[0] if members[0] == 0 else members[-1]


def tournament(cpus: Records[Cpu], actors: Records[Actor]) -> NDArray[np.float64]:
    """`World.due` at the start."""
    leaves = 1 << int(cpus.size - 1).bit_length()
    due = np.full(2 * leaves, np.inf)
    waiting = actors.position < actors.total
    np.minimum.at(due, leaves + actors.cpu[waiting], np.maximum(actors.ready, cpus.clock[actors.cpu])[waiting])
    for node in range(leaves - 1, 0, -1):
        due[node] = min(due[2 * node], due[2 * node + 1])
    return due


@inner_apart
def set_due(world: World, cpu: Int) -> None:
    """Note when a CPU can go on."""
    actors, due = world.actors, world.due
    clock, soonest = np.float64(world.cpus[cpu].clock), np.inf
    number = first = np.int64(world.cpus[cpu].ring)
    while number >= 0:
        actor = actors[number]
        if actor.position < actor.total:
            soonest = min(soonest, max(np.float64(actor.ready), clock))
        number = np.int64(actor.beside)
        if number == first:
            break
    node = np.int64(due.size // 2 + cpu)
    due[node] = soonest
    while node > 1:
        node >>= 1
        lesser = min(due[2 * node], due[2 * node + 1])
        if lesser == due[node]:
            break
        due[node] = lesser


@inner_apart
def leave_cpu(world: World, number: Int) -> None:
    """Take a vCPU out of its CPU's ring."""
    actors, own = world.actors, world.cpus[world.actors[number].cpu]
    before = number
    while actors[before].beside != number:
        before = np.int64(actors[before].beside)
    actors[before].beside = actors[number].beside
    if own.ring == number:
        own.ring = NOTHING if before == number else before


@inner_apart
def join_cpu(world: World, number: Int) -> None:
    """Put a vCPU into its CPU's ring, where its turn is the last."""
    actors, own = world.actors, world.cpus[world.actors[number].cpu]
    if own.ring == NOTHING:
        own.ring = number
    actors[number].beside = number if own.ring == number else actors[own.ring].beside
    actors[own.ring].beside = number


@inner
def first_cpu(world: World) -> Int:
    """Name the CPU that goes on next: the soonest, of several the first; -1 when all are done."""
    due = world.due
    if due[1] == np.inf:
        return np.int64(-1)
    node, leaves = np.int64(1), due.size // 2
    while node < leaves:
        node = 2 * node + np.int64(due[2 * node] != due[1])
    return np.int64(node - leaves)


@inner_apart
def next_actor(world: World) -> Int:
    """Choose the vCPU to run next: that of the CPU that is furthest behind; -1 when all are done."""
    actors, cpu = world.actors, first_cpu(world)
    if cpu < 0:
        return np.int64(-1)
    own, soonest = world.cpus[cpu], world.due[1]
    own.clock = soonest
    number = np.int64(own.current)
    if number >= 0 and actors[number].cpu != cpu:  # it was moved
        number = NOTHING
    if number >= 0 and soonest < own.slice_end:
        actor = actors[number]
        if actor.position < actor.total and actor.ready <= soonest:
            return number
    number = number if number >= 0 else np.int64(own.ring)
    while True:  # round robin, the current one last
        number = np.int64(actors[number].beside)
        actor = actors[number]
        if actor.position < actor.total and actor.ready <= soonest:
            return number
