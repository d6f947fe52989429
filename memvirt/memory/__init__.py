"""The memory room: where each page is, and what happened when.

It owns the machine's clock and the order of events. Guests allocate gVA→gPA, the host gPA→hPA, a host
that promised more than it has takes pages back, and all of it comes out as a schedule and a list of events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memvirt.counters import as_counters, in_use
from memvirt.digest import freeze
from memvirt.errors import CapacityError, ConfigError
from memvirt.memory.boot import note_first_touches
from memvirt.memory.config import MemoryConfig
from memvirt.memory.contents import first_contents
from memvirt.memory.dump import as_dumped
from memvirt.memory.foresight import foresee_first, next_accesses
from memvirt.memory.layout import FrameLayout, PageLayout, kernel_pages, lay_out_frames, lay_out_pages
from memvirt.memory.log import take_shootdowns
from memvirt.memory.setup import DEAL, MOST_EPOCHS, VISITS, WINDOW, build, image_number, measured
from memvirt.memory.state import (
    DONE,
    EVERY_NODE,
    GUEST_FULL,
    HOST_FULL,
    LOG_FULL,
    MORE_EPOCHS,
    NOTHING,
    OF_GUEST,
    OF_HOST,
    Now,
    World,
)
from memvirt.memory.step import Step, look
from memvirt.memory.tasks import FILL_CACHE, GO_ON, KEEP_FOR_KERNEL, MAP, NO_NUMBERS, NOBODY, do_task
from memvirt.types import (
    EVENT,
    ON_EVERY,
    ORDERS,
    RUN,
    Frames,
    Machine,
    Nodes,
    Schedule,
    Space,
    Tables,
    Trace,
)
from memvirt.typing import Int

__all__ = ["MemoryConfig", "Step", "run", "steps"]

Future = list[NDArray[np.uint32]]


def _booting(world: World, vm: int) -> Now:
    """Who makes the host back what a VM has before its first access."""
    actor = int(np.flatnonzero(world.actors.vm == vm)[0])
    return Now(vm, 0, 0, int(world.cpus.node[world.actors.cpu[actor]]), 0, 0, 0, 0.0)


def _prepare(world: World, vm: int, task: Int, numbers: NDArray[np.int64]) -> None:
    """Do one of the tasks that come before a VM's first access."""
    status, _ = do_task(world, _booting(world, vm), task, numbers)
    _check(status, vm, world)


def _boot(world: World, config: MemoryConfig, traces: list[Trace]) -> None:
    """Boot the guests' kernels, fill the guests' caches, and map what is to be mapped, VM after VM; no event, no count, no time."""
    world.clock[0].quiet = 1
    for vm, member in enumerate(config.members):
        kernel = kernel_pages(int(world.vms.limit[vm]), config.page_struct)
        _prepare(world, vm, KEEP_FOR_KERNEL, np.array([kernel], np.int64))
        touched = traces[vm].pages.vpn.size
        count = member.cache >> 12
        private = int(world.pages.size) + sum(other.cache >> 12 for other in config.members[:vm])
        contents = first_contents(member.contents, image_number(config, vm), private - touched, touched + count)[touched:]
        _prepare(world, vm, FILL_CACHE, contents)
    for vm, trace in enumerate(traces if config.guest.prefault else []):
        _prefault(world, vm, trace, config.guest.prefault == "all")
    world.clock[0].quiet = 0
    world.counts[:] = 0
    world.clock[0].bus_ns = 0.0
    world.channels[:] = 0.0


def _foresee(world: World, traces: list[Trace]) -> Future:
    """When each access's page is accessed next; the policy is told of what is resident already."""
    found = [next_accesses(trace) for trace in traces]
    for vm, (_, first) in enumerate(found):
        foresee_first(world, vm, first)
    return [coming for coming, _ in found]


def _prefault(world: World, vm: int, trace: Trace, everything: bool) -> None:
    """Map every page that a trace touches, in the order of first touch.

    ``everything``: every page that it could touch, in order of address.
    """
    size = trace.pages.vpn.size
    count: Int = 0
    seen, order = np.zeros(size, np.uint8), np.empty(size, np.uint32)
    if everything:
        order, count = np.arange(size, dtype=np.uint32), size
    for chunk in [] if everything else trace.chunks:
        count = note_first_touches(chunk.page, seen, order, count)
        if count == size:
            break
    _prepare(world, vm, MAP, order[:count].astype(np.int64))


def _check(status: Int, vm: Int, world: World) -> None:
    if status == GUEST_FULL:
        guest = world.vms[vm]
        why = f"VM {vm} touches more than its vms.memory of {int(guest.limit)} pages of 4 KiB"
        if guest.ballooned:
            why = f"VM {vm} is out of memory: of its {int(guest.limit)} pages of 4 KiB its balloon holds {int(guest.ballooned)}"
        if guest.guest_swap:
            why += f", and its own swap of {int(guest.guest_swap)} pages holds {int(guest.guest_swapped)}"
        raise CapacityError(why)
    if status == HOST_FULL:
        frames = int(world.vms.resident.sum())
        if int(world.vms[vm].nodes) != EVERY_NODE:
            nodes = ", ".join(str(node) for node in range(world.nodes.size) if int(world.vms[vm].nodes) >> node & 1)
            why = f"the nodes that VM {vm} may use ({nodes}) are full, and reclaim makes no room on some nodes alone"
            raise CapacityError(f"{why}: let it use more (vms.nodes, numa.placement), or give them more memory")
        why = f"the host is full with {frames} resident pages of 4 KiB, and reclaim makes no more room"
        slots = int(world.rules[0].slots)
        if slots:
            used = int(world.vms.swapped.sum() + world.vms.compressed.sum())
            why += f"; {used} of the {slots} pages of reclaim.swap_size are in use (Linux would kill a VM)"
        raise CapacityError(why)


def _refill(world: World, traces: list[Trace], future: Future, actor: Int) -> None:
    actors = world.actors
    start = int(actors.position[actor])
    window = world.window
    stop = min(start + window.page.shape[1], int(actors.total[actor]))
    trace, vcpu, vcpus = traces[int(actors.vm[actor])], int(actors.vcpu[actor]), int(actors.vcpus[actor])
    if trace.life and vcpus > 1:
        own = np.arange(start, stop)
        places = (own // VISITS * vcpus + vcpu) * VISITS + own % VISITS
        first, size = int(places[0]), slice(0, stop - start)
        part = trace.read(first, int(places[-1]) + 1)
        window.page[actor, size], window.line[actor, size], window.gap[actor, size] = (each[places - first] for each in part)
        actors.begin[actor], actors.filled[actor] = start, stop
        return
    at = start
    while at < stop:
        deal, offset = divmod(at, DEAL)
        end = stop if vcpus == 1 else min(stop, (deal + 1) * DEAL)
        source = at if vcpus == 1 else (deal * vcpus + vcpu) * DEAL + offset
        part = trace.read(source, source + end - at)
        piece = slice(at - start, end - start)
        window.page[actor, piece], window.line[actor, piece], window.gap[actor, piece] = part
        if world.rules[0].foresees:
            window.coming[actor, piece] = future[int(actors.vm[actor])][source : source + end - at]
        at = end
    actors.begin[actor], actors.filled[actor] = start, stop


def _more_epochs(world: World, vm: Int) -> World:
    vms, epochs = world.counts.shape
    if 2 * epochs > MOST_EPOCHS:
        raise ConfigError("epoch.time", "", f"VM {vm} passes through more than {MOST_EPOCHS} epochs; make them longer")
    more = np.zeros((vms, epochs), world.counts.dtype)
    counts: Any = np.concatenate([world.counts, more], axis=1).view(np.recarray)
    return world._replace(counts=counts)


def _as_bytes(records: NDArray[np.void]) -> NDArray[np.void]:
    """Records as so many bytes each: numpy copies these four times as fast, since it need not go from field to field."""
    return np.asarray(records).view(np.dtype((np.void, records.dtype.itemsize)))


def _joined(parts: list[NDArray[np.void]], kind: np.dtype[np.void]) -> NDArray[np.void]:
    """One array of records of several."""
    return np.concatenate([_as_bytes(part) for part in parts]).view(kind)


class Log:
    """What was taken out of the loop's log so far."""

    def __init__(self) -> None:
        self.runs, self.events = [np.zeros(0, RUN)], [np.zeros(0, EVENT)]

    def take(self, world: World) -> None:
        """Empty the loop's log."""
        clock = world.clock[0]
        self.runs.append(_as_bytes(world.runs[: clock.runs]).copy())
        self.events.append(_as_bytes(world.events[: clock.events]).copy())
        clock.runs = clock.events = 0


def _drive(world: World, traces: list[Trace], future: Future, log: Log) -> Iterator[World]:
    """Run to the end of all traces; hands the state out before each window that is filled again, and at the end."""
    while True:
        status, who = do_task(world, NOBODY, GO_ON, NO_NUMBERS)
        if status in (LOG_FULL, DONE):
            log.take(world)
            if status == DONE:
                yield world
                return
        elif status == MORE_EPOCHS:
            world = _more_epochs(world, who)
        elif status in (GUEST_FULL, HOST_FULL):
            _check(status, who, world)
        else:
            yield world
            _refill(world, traces, future, who)


def join_runs(runs: NDArray[np.void]) -> NDArray[np.void]:
    """Make one run of neighbours that one would be, so that the schedule doesn't tell when the log was emptied."""
    if runs.size < 2:
        return runs
    goes_on = np.ones(runs.size, bool)
    goes_on[0] = False
    for name in ("vm", "cpu", "asid", "epoch"):
        goes_on[1:] &= runs[name][1:] == runs[name][:-1]
    goes_on[1:] &= runs["start"][1:] == runs["start"][:-1] + runs["length"][:-1]
    starts = np.flatnonzero(~goes_on)
    joined = runs[starts].copy()
    lengths = np.add.reduceat(runs["length"].astype(np.int64), starts)
    if lengths.max() >= 1 << 31:
        return runs
    joined["length"] = lengths
    return joined


def _space(pages: PageLayout, config: MemoryConfig, world: World) -> Space:
    usual = pages.order if config.dimensions == 1 else np.uint8(max(ORDERS.get(config.host.page_size, 9), 0))
    known = np.asarray(world.pages.host_order)
    host_order = np.where(known == 255, usual, known).astype(np.uint8)
    return Space(pages.base, pages.vpn.astype(np.uint64), pages.asid.astype(np.uint16), pages.order, host_order)


def _replicated(world: World) -> Iterator[NDArray[np.int64]]:
    """Host frames of tables that have a replica on each node."""
    if world.table_nodes[OF_GUEST].copies:
        held = np.asarray(world.guest_tables.frame)
        frames = held[held != NOTHING]
        yield np.asarray(world.guest_tables.hfn[held != NOTHING] if world.rules[0].dimensions == 1 else world.frames.hfn[frames])
    if world.table_nodes[OF_HOST].copies and world.rules[0].dimensions == 2:
        held = np.asarray(world.host_tables.hfn)
        yield held[held != NOTHING]


def _begin(config: MemoryConfig, traces: list[Trace], window: int = WINDOW) -> tuple[World, PageLayout, FrameLayout, Future]:
    """Build and boot the machine."""
    pages: PageLayout = lay_out_pages(config, traces)
    frames: FrameLayout = lay_out_frames(config, pages)
    world = build(config, traces, pages, frames, window)
    _boot(world, config, traces)
    return world, pages, frames, _foresee(world, traces) if world.rules[0].foresees else []


def steps(config: MemoryConfig, traces: list[Trace], accesses: int) -> Iterator[Step]:
    """Simulate as `run` does, and look at the machine whenever a vCPU has made so many accesses, and at the end.

    Parameters
    ----------
    config : MemoryConfig
    traces : list of Trace
        One a VM.
    accesses : int

    Yields
    ------
    Step

    Raises
    ------
    CapacityError, ConfigError
        As `run`.
    """
    world, _, _, future = _begin(config, traces, accesses)
    for state in _drive(world, traces, future, Log()):
        yield look(state)


def run(config: MemoryConfig, traces: list[Trace]) -> Machine:
    """Simulate guests' and host's memory over the whole of all traces.

    Parameters
    ----------
    config : MemoryConfig
    traces : list of Trace
        One a VM.

    Returns
    -------
    Machine

    Raises
    ------
    CapacityError
        If a guest touches more than its memory, or the host is full and reclaim makes no room.
    ConfigError
        For what only the traces show to be impossible.
    """
    world, pages, frames, future = _begin(config, traces)
    frame_of_page = world.pages.frame.astype(np.uint32)
    hfn_of_frame = world.frames.hfn.astype(np.uint32)
    order_of_frame = world.frames.order.astype(np.uint8)
    log = Log()
    (world,) = deque(_drive(world, traces, future, log), maxlen=1)
    runs = join_runs(_joined(log.runs, RUN))
    events: Any = _joined(log.events, EVENT)
    shootdowns: Any = np.empty_like(events)
    used = int(world.bumps.block[-1])
    guest_frames = (world.guest_tables.hfn if config.dimensions == 1 else world.guest_tables.frame).astype(np.uint32)
    shootdowns = shootdowns[: take_shootdowns(events.view(np.recarray), shootdowns.view(np.recarray))]
    epochs = int(world.vms.epoch.max()) + 1
    node_of_cpu = np.zeros(int(world.clock[0].cpus), np.uint8)
    first_used = world.cpus.label >= 0
    place_of_cpu = np.zeros(node_of_cpu.size, np.uint16)
    node_of_cpu[world.cpus.label[first_used]] = world.cpus.node[first_used]
    place_of_cpu[world.cpus.label[first_used]] = np.flatnonzero(first_used) % config.numa.cpus_per_node
    node_of_hfn = world.host_frames.node[:used].astype(np.uint8)
    for tables in _replicated(world):
        node_of_hfn[tables] = ON_EVERY
    machine = Machine(
        space=_space(pages, config, world),
        schedule=Schedule(runs, int(world.clock[0].merged), epochs, node_of_cpu.size, len(traces)),
        shootdowns=shootdowns,
        frames=Frames(
            guest_levels=config.guest.levels,
            host_levels=int(world.rules[0].host_levels),
            dimensions=config.dimensions,
            frame_base=frames.base,
            guest=Tables(pages.row, guest_frames[pages.table]),
            host=Tables(
                np.arange(int(frames.base[-1]), dtype=np.uint32) >> np.uint32(9),
                world.host_tables.hfn.astype(np.uint32)[world.host_rows],
            ),
            frame_of_page=frame_of_page,
            hfn_of_frame=hfn_of_frame,
            order_of_frame=order_of_frame,
            host_frames=used,
            changes=events,
        ),
        nodes=Nodes(node_of_hfn, node_of_cpu, place_of_cpu, config.numa.nodes),
        counters=as_counters(world.counts[:, :epochs], in_use("memory", measured(world.policies))),
    )
    return freeze(as_dumped(machine, config))
