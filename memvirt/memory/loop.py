"""The one host loop: whose turn it is, and what its accesses make the machine do.

The CPU whose clock is behind goes on, for a quantum of accesses or until its vCPU must wait for
memory; so a VM that waits falls behind the others. The loop returns to Python to have a window refilled
or the log taken away, and goes on as if nothing had happened.
"""

from __future__ import annotations

import numpy as np

from memvirt.counters import Counter
from memvirt.jit import inner_apart
from memvirt.memory.away import note_tables
from memvirt.memory.background import background, fill_gauges, next_background, record_gauges
from memvirt.memory.device import wait_until
from memvirt.memory.epochs import FOREVER, epoch_and_rest, note_state, short_of_epochs
from memvirt.memory.give import free_slots
from memvirt.memory.guest import break_cow, fault, guest_unmap, new_contents, protect, table_write
from memvirt.memory.log import log_flush, log_move, log_preempt, log_run, log_switch
from memvirt.memory.migration import is_hinted, take_hint
from memvirt.memory.page_cache import note_write
from memvirt.memory.pressure import note_away, note_turn
from memvirt.memory.readahead import note_hit
from memvirt.memory.replacement import foresee, touch
from memvirt.memory.rings import represents
from memvirt.memory.scheduler._moves import others_of
from memvirt.memory.state import DONE, LOG_FULL, MORE_EPOCHS, NOTHING, OK, ONE, REFILL, ZERO, Now, World
from memvirt.memory.turns import next_actor, set_due
from memvirt.prefetch import prefetch
from memvirt.types import WRITE, GuestEvent
from memvirt.typing import Int

ON_SWITCH, ON_UNMAP, ON_TABLE_WRITE, ON_PROTECT, ON_FLUSH, ON_IDLE, ON_PACE, ON_UNTIL = map(int, GuestEvent)
AHEAD = 8  #: accesses, of which one is over before what is asked for comes from memory
NEAR = 1 << 14  #: frames whose records, and those of their pages, are near as it is
ACCESSED = 7  #: since the host page came, since the frame was sampled, and since its age was looked at


COUNTERS = (
    Counter("accesses", "accesses", doc="counted ones, the warm-up left out, as everywhere"),
    Counter("instructions", "instructions", doc="of those accesses, the ones in between included"),
    Counter("unmap_calls", "calls", doc="system calls of the workload that unmap"),
    Counter("protect_calls", "calls", doc="system calls of the workload that protect, forks among them"),
    Counter("remote_accesses", "accesses", doc="to data on another NUMA node"),
    Counter("active_pages", "pages", doc="touched in the epoch; a run's: summed over epochs"),
    Counter("stall_ns", "ns", doc="time waited for memory: a device, a decompression, a host that holds the VM back"),
    Counter("copy_ns", "ns", doc="time in which a write of the VM's waited for the host to copy a merged page"),
    Counter("busy_ns", "ns", doc="CPU time of the workload's own, faults and waiting not included"),
    Counter("idle_ns", "ns", doc="time asleep"),
    Counter("elapsed_ns", "ns", doc="time not asleep, waiting included"),
)


@inner_apart
def guest_events(world: World, now: Now, number: Int) -> Int:
    """Carry out what the workload does before its next access; returns how far off the next event is, 0 if it can't go on now."""
    actor = world.actors[number]
    following = actor.event_next
    while following < actor.event_end and world.own_events[following].at <= actor.position:
        event = world.own_events[following]
        page = world.vms[now.vm].page_base + event.page
        if event.kind == ON_SWITCH:
            if event.asid != actor.asid:
                actor.asid = event.asid
                log_switch(world, now, event.asid)
        elif event.kind == ON_UNMAP:
            if not world.rules[0].keep_mapped:
                world.counts[now.vm, now.epoch].unmap_calls += event.call
                guest_unmap(world, now, page)
        elif event.kind == ON_TABLE_WRITE:
            world.counts[now.vm, now.epoch].protect_calls += event.call
            world.counts[now.vm, now.epoch].protected_entries += np.int64(world.pages[page].frame != NOTHING)
            table_write(world, now, page)
        elif event.kind == ON_PROTECT:
            if not world.rules[0].keep_mapped:
                world.counts[now.vm, now.epoch].protect_calls += event.call
                protect(world, now, page)
        elif event.kind == ON_FLUSH:
            log_flush(world, now, event.asid)
        elif event.kind == ON_PACE:
            actor.pace_ns = np.float64(event.page)
        following += 1
        if event.kind == ON_IDLE:
            actor.event_next = following
            actor.ready = now.time_ns + event.page * 1e3
            world.counts[now.vm, now.epoch].idle_ns += np.int64(event.page) * 1000
            note_away(world, number, now.epoch, now.time_ns, np.float64(actor.ready), ZERO)
            return 0
        if event.kind == ON_UNTIL and actor.start + event.page * 1e6 > now.time_ns:
            actor.event_next = following
            actor.ready = actor.start + np.float64(event.page) * 1e6
            world.counts[now.vm, now.epoch].idle_ns += np.int64(actor.ready - now.time_ns)
            note_away(world, number, now.epoch, now.time_ns, np.float64(actor.ready), ZERO)
            return 0
        if world.clock[0].events + world.rules[0].margin > world.events.size:
            break
    actor.event_next = following
    return world.own_events[following].at - actor.position if following < actor.event_end else FOREVER


@inner_apart
def access_run(world: World, now: Now, number: Int, length: Int) -> tuple[Int, Int]:
    """Make up to ``length`` accesses of one vCPU; returns how many were made, and `OK` or what is full."""
    actor, clock, rules = world.actors[number], world.clock[0], world.rules[0]
    pages, frames, host_frames = world.pages, world.frames, world.host_frames
    tracked, forks, node, follows = rules.tracked, rules.forks, now.node, rules.follows
    touched = world.touched[number]
    pace_ns = np.float64(actor.pace_ns)  # charged after the visit, so that those of all VMs come in the order of their times
    ns_per_instruction = 0.0 if pace_ns > 0 else np.float64(rules.ns_per_instruction)
    contents, foresees, epoch = rules.contents, rules.foresees, now.epoch
    base = world.vms[now.vm].page_base
    offset = actor.position - actor.begin
    numbers, lines, gaps = world.window.page[number], world.window.line[number], world.window.gap[number]
    loaded = actor.filled - actor.begin if frames.size > NEAR else ZERO
    instructions: Int = 0
    last: Int = NOTHING
    status: Int = OK
    time, remote, active, made, copied = now.time_ns, 0, 0, 0, 0.0
    clock.awaited_ns = clock.copied_ns = 0.0
    while made < length:
        page = base + numbers[offset + made]
        if offset + made + 2 * AHEAD < loaded:
            prefetch(pages, base + numbers[offset + made + 2 * AHEAD])
            prefetch(frames, np.int64(pages[base + numbers[offset + made + AHEAD]].frame))
        gap = np.int64(gaps[offset + made])
        write = lines[offset + made] & WRITE
        time += gap * ns_per_instruction
        instructions += gap
        frame = np.int64(pages[page].frame)
        present = frame != NOTHING and frames[frame].hfn != NOTHING
        if not present or (contents and write and host_frames[frames[frame].hfn].stable):
            here = Now(now.vm, now.cpu, now.label, now.node, now.asid, now.epoch, now.at + made, time)
            clock.reclaimed_ns = 0.0
            status = fault(world, here, page, np.int64(write))
            if status != OK:
                break
            frame = np.int64(pages[page].frame)
            time += rules.minor_fault_ns + clock.copied_ns
            copied += np.float64(clock.copied_ns)
            clock.copied_ns = 0.0
            if clock.reclaimed_ns > 0.0:
                wait_until(world, time + np.float64(clock.reclaimed_ns))
            last = NOTHING
        if is_hinted(world.policies.migration, frame):
            here = Now(now.vm, now.cpu, now.label, now.node, now.asid, now.epoch, now.at + made, time)
            time += take_hint(world.policies.migration, world, here, page, frame)
        if forks and write and pages[page].cow:
            break_cow(world, Now(now.vm, now.cpu, now.label, now.node, now.asid, now.epoch, now.at + made, time), page)
            time += rules.minor_fault_ns
        if tracked:
            if frames[frame].ahead:
                note_hit(world, frame)
            frames[frame].accessed = ACCESSED
            if frames[frame].seen != epoch:
                frames[frame].seen = epoch
                active += 1
            order = np.int64(frames[frame].order)
            unit: Int = frame >> order << order
            if write:
                frames[unit].dirty = 1
                if pages[page].file:
                    note_write(world, page, time)
                if pages[page].swapped:
                    free_slots(world, now.vm, page)
                if contents:
                    frames[frame].content = new_contents(world)
            if contents:
                unit = represents(world, unit)
            if unit != last and unit >= 0:
                touch(world.policies.replacement, unit)
                last = unit
            if foresees and unit >= 0:
                foresee(world.policies.replacement, unit, np.int64(world.window.coming[number, offset + made]))
            touch(world.policies.guest, np.int64(pages[page].first))
        home = host_frames[frames[frame].hfn].node
        if home != node:
            remote += 1
        if follows:
            touched[home] += 1
            note_tables(world, now.vm, epoch, page, frame, node)
        time += pace_ns
        made += 1
        if clock.awaited_ns > 0.0 or clock.events + rules.margin > world.events.size:
            break
    counts = world.counts[now.vm, now.epoch]
    counts.accesses += made
    counts.instructions += instructions
    counts.busy_ns += np.int64(made * pace_ns + instructions * ns_per_instruction)
    counts.remote_accesses += remote
    counts.active_pages += active
    ready = np.float64(clock.awaited_ns) + pace_ns
    counts.copy_ns += np.int64(copied)
    counts.elapsed_ns += np.int64(max(time, ready) - now.time_ns)
    note_turn(world, now.vm, now.epoch, now.time_ns, max(time, ready))
    if ready > time:
        counts.stall_ns += np.int64(ready - time)
        note_away(world, number, now.epoch, time, ready, ONE)
        actor.ready = ready
    world.cpus[now.cpu].clock = time
    return made, status


@inner_apart
def enter_epoch(world: World, vm: Int, epoch: Int) -> None:
    """Take note that a VM's epoch begins; those that it slept through end as the last one did."""
    for slept in range(world.vms[vm].epoch + 1, epoch):
        fill_gauges(world, vm, slept)
    note_state(world, np.int64(vm), np.int64(epoch))
    for begun in range(world.vms[vm].epoch + 1, epoch + 1):
        world.counts[vm, begun].span_ns = np.int64(world.rules[0].epoch_ns)
    world.vms[vm].epoch = epoch


@inner_apart
def host_loop(world: World) -> tuple[Int, Int]:
    """Run until all VMs are done, or Python must help; returns why, and the vCPU or VM concerned."""
    clock, rules = world.clock[0], world.rules[0]
    while True:
        if clock.events + rules.margin > world.events.size or clock.runs + 1 >= world.runs.size:
            return LOG_FULL, 0
        number = next_actor(world)
        if number < 0:
            return DONE, 0
        actor = world.actors[number]
        position = actor.position
        if position == actor.filled:
            return REFILL, number
        vm, cpu = actor.vm, world.cpus[actor.cpu]
        short = short_of_epochs(world, np.float64(cpu.clock))
        if short >= 0:
            return MORE_EPOCHS, short
        if next_background(world) <= cpu.clock:
            background(
                world, Now(vm, actor.cpu, max(cpu.label, 0), cpu.node, actor.asid, world.vms[vm].epoch, clock.merged, cpu.clock)
            )
            continue
        epoch, length = epoch_and_rest(world, vm, cpu.clock)
        if epoch >= world.counts.shape[1]:
            return MORE_EPOCHS, vm
        if epoch != world.vms[vm].epoch:
            enter_epoch(world, vm, epoch)
        if cpu.label < 0:
            cpu.label = clock.cpus
            clock.cpus += 1
        now = Now(vm, actor.cpu, cpu.label, cpu.node, actor.asid, epoch, clock.merged, cpu.clock)
        previous = cpu.current
        if previous != number:
            cpu.current = number
            cpu.slice_end = cpu.clock + rules.slice_ns
            if previous >= 0 and world.actors[previous].vm != vm:
                log_preempt(world, now)
        if actor.ran_on != actor.cpu:
            if actor.ran_on >= 0:
                log_move(world, now, others_of(world, number))
            actor.ran_on = actor.cpu
        length = min(length, guest_events(world, now, number))
        if length <= 0:  # it sleeps, or the log ran full among the events
            set_due(world, np.int64(actor.cpu))
            continue
        length = min(length, rules.quantum, actor.filled - position)
        if actor.pace_ns > 0:
            length = min(length, max(ONE, np.int64(rules.quantum_ns / actor.pace_ns)))
        start = position
        if actor.vcpus > 1:
            deal = position // rules.deal
            length = min(length, (deal + 1) * rules.deal - position)
            start = (deal * actor.vcpus + actor.vcpu) * rules.deal + position % rules.deal
        now = Now(vm, actor.cpu, cpu.label, cpu.node, actor.asid, epoch, clock.merged, cpu.clock)
        made, status = access_run(world, now, number, length)
        if made > 0 and actor.pace_ns <= 0:  # nobody walks the tables of visits
            log_run(world, now, start, made)
        actor.position += made
        set_due(world, np.int64(actor.cpu))
        world.vms[vm].done += made
        clock.merged += made
        if rules.tracked:
            record_gauges(world, vm, epoch)
        else:
            world.counts[vm, epoch].resident_pages = world.vms[vm].resident
            world.counts[vm, epoch].host_pages = clock.total
            world.counts[vm, epoch].host_free_pages = clock.free
        if status != OK:
            return status, vm
