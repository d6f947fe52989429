"""A scan of NUMA balancing: so much of a VM's memory becomes inaccessible at once."""

from __future__ import annotations

import numpy as np

from memvirt.jit import inner, inner_apart
from memvirt.memory.log import log_drop, log_hint, log_table_write
from memvirt.memory.migration._balance import DELAY_NS, IN_HOST, SCAN, UNTIL_NS, Balance, adapt
from memvirt.memory.migration._frames import can_move
from memvirt.memory.migration._tables import follow_children
from memvirt.memory.numbers import end_of_frames, end_of_pages
from memvirt.memory.state import NOTHING, ZERO, Now, World
from memvirt.typing import Int

BEFORE, NEWLY = np.int64(1), np.int64(2)  #: in `Balance.hinted`, of which one is of the scan that goes on


@inner
def hint(state: Balance, world: World, vm: Int, unit: Int, size: Int, mark: Int) -> Int:
    """Make a host page inaccessible; returns how many of a guest's pages lie there."""
    mapped = np.int64(0)
    for part in range(unit, unit + size):
        state.hinted[part] = mark
        mapped += np.int64(world.frames[part].page != NOTHING)
    world.counts[vm, world.vms[vm].epoch].hint_entries += 1
    return mapped


@inner_apart
def hint_frames(state: Balance, world: World, now: Now, vm: Int, first: Int, end: Int) -> Int:
    """Make what is behind a VM's frames inaccessible, up to a scan's size; returns where it stopped."""
    left, units, mapped, frame = np.int64(state.rule[SCAN]), 0, np.int64(0), np.int64(first)
    while frame < end and left > 0:
        size = np.int64(1) << np.int64(world.frames[frame].order)
        if world.frames[frame].hfn != NOTHING:
            left -= size
            if not state.hinted[frame] and can_move(world, frame):
                mapped += hint(state, world, vm, frame, size, NEWLY)
                units += 1
        frame += size
    if units > 0:
        log_hint(world, now, mapped)
        drop_pages(state, world, now, first, frame)
    return frame


@inner_apart
def drop_pages(state: Balance, world: World, now: Now, first: Int, end: Int) -> None:
    """Have the translations go of the pages on frames that have become inaccessible just now."""
    for frame in range(first, end):
        if state.hinted[frame] == NEWLY:
            state.hinted[frame] = BEFORE
            page = np.int64(world.frames[frame].page)
            if page != NOTHING:
                log_drop(world, now, page, np.int64(world.frames[frame].order), np.int64(now.vm))


@inner_apart
def hint_pages(state: Balance, world: World, now: Now, vm: Int, first: Int, end: Int) -> Int:
    """Make a guest's or process's own pages inaccessible to it, up to a scan's size; returns where it stopped."""
    left, page = np.int64(state.rule[SCAN]), np.int64(first)
    while page < end and left > 0:
        mapped = world.pages[page]
        following, frame = np.int64(mapped.end), np.int64(mapped.frame)
        if frame != NOTHING and world.frames[frame].hfn != NOTHING:
            order = np.int64(mapped.order)
            size, unit = np.int64(1) << order, frame >> order << order
            left -= size
            if not state.hinted[unit] and can_move(world, unit):
                hint(state, world, vm, unit, size, BEFORE)
                log_table_write(world, now, page, frame, ZERO, order)
                for number in range(page, following):
                    log_drop(world, now, number, np.int64(world.frames[world.pages[number].frame].order), np.int64(vm))
        page = following
    return page


@inner_apart
def scan_vm(state: Balance, world: World, now: Now, vm: Int) -> None:
    """Scan a VM's memory on from where the last scan stopped, and adapt the period where a round is over."""
    world.counts[vm, world.vms[vm].epoch].numa_scans += 1
    if state.rule[IN_HOST]:
        base, end = np.int64(world.vms[vm].frame_base), end_of_frames(world, vm)
        stopped = hint_frames(state, world, now, vm, base + state.place[vm], end)
    else:
        base, end = np.int64(world.vms[vm].page_base), end_of_pages(world, vm)
        stopped = hint_pages(state, world, now, vm, base + state.place[vm], end)
    state.place[vm] = stopped - base
    if state.period_ns[vm] == 0.0:
        adapt(state, world, vm)
    if stopped >= end:
        state.place[vm] = 0
        state.rounds[vm] += 1
        adapt(state, world, vm)
        follow_children(state.votes, world, now, vm)


@inner_apart
def scan_due(state: Balance, world: World, now: Now) -> float:
    """Scan the VM that is due first, if it did anything since the last scan; returns when the next is due (ns)."""
    if now.time_ns >= state.rule[UNTIL_NS]:
        return np.inf
    vm = np.int64(0)
    for other in range(state.due.size):
        if state.due[other] < state.due[vm]:
            vm = np.int64(other)
    if state.due[vm] <= now.time_ns:
        guest = world.vms[vm]
        actor = np.int64(0)
        while world.actors[actor].vm != vm:
            actor += 1
        cpu = np.int64(world.actors[actor].cpu)
        label, node = max(np.int64(world.cpus[cpu].label), ZERO), np.int64(world.cpus[cpu].node)
        then = Now(vm, cpu, label, node, np.int64(world.actors[actor].asid), np.int64(guest.epoch), now.at, now.time_ns)
        if guest.done > state.done[vm]:
            scan_vm(state, world, then, vm)
            state.done[vm] = guest.done
        state.due[vm] = now.time_ns + (state.period_ns[vm] if state.period_ns[vm] > 0.0 else state.rule[DELAY_NS])
    soonest = state.due[0]
    for other in range(state.due.size):
        soonest = min(soonest, state.due[other])
    return soonest  # type: ignore[no-any-return]
