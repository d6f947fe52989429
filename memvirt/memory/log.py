"""Writing runs, events and counts: what kernels of the memory room leave behind."""

from __future__ import annotations

from memvirt.jit import inner
from memvirt.memory.state import Now, World

STEP = 4096  #: events that one page given up, merged or split can write at the most


@inner
def log_event(world: World, now: Now, kind: int, page: int, frame: int, hfn: int, count: int, order: int, vm: int) -> None:
    """Append an event, unless the machine is still being prepared."""
    clock = world.clock[0]
    if clock.quiet:
        return
    event = world.events[clock.events]
    event.at = now.at
    event.page = page
    event.frame = frame
    event.hfn = hfn
    event.count = count
    event.epoch = now.epoch
    event.vm = vm
    event.asid = now.asid
    event.cpu = now.label
    event.kind = kind
    event.order = order
    clock.events += 1


@inner
def has_room(world: World) -> bool:
    """Whether the log still holds the events of another page given up, merged or split."""
    return world.clock[0].events + STEP <= world.events.size  # type: ignore[no-any-return]


@inner
def count(world: World, vm: int, epoch: int, counter: int, amount: int) -> None:
    """Add to a counter, unless the machine is still being prepared."""
    if not world.clock[0].quiet:
        world.counts[vm, epoch, counter] += amount


@inner
def log_run(world: World, now: Now, start: int, length: int) -> None:
    """Append a run, or lengthen the last one where it goes on."""
    number = world.clock[0].runs
    if number > 0:
        last = world.runs[number - 1]
        same = last.vm == now.vm and last.cpu == now.label and last.asid == now.asid and last.epoch == now.epoch
        if same and last.start + last.length == start and last.length + length < 0x7FFFFFFF:
            last.length += length
            return
    run = world.runs[number]
    run.at = now.at
    run.start = start
    run.length = length
    run.epoch = now.epoch
    run.vm = now.vm
    run.cpu = now.label
    run.asid = now.asid
    world.clock[0].runs = number + 1
