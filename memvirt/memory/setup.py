"""Builds the host loop's state from the config and the traces."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from memvirt.config import Choice
from memvirt.counters import in_use, record_of
from memvirt.errors import ConfigError
from memvirt.memory import victims
from memvirt.memory.config import MemoryConfig, make_policy
from memvirt.memory.contents import WRITTEN, first_contents
from memvirt.memory.layout import FrameLayout, PageLayout, chance, kernel_pages, radix_tables
from memvirt.memory.log import STEP
from memvirt.memory.migration import Host
from memvirt.memory.migration.none import make as make_still
from memvirt.memory.numa import MIGRATED
from memvirt.memory.placement import EVERY, allowed_nodes
from memvirt.memory.readahead import FIRST_HITS
from memvirt.memory.records import Actor, Bump, Clock, Cpu, Frame, HostFrame, Node, OwnEvent, Page, Rules, Table, TableNodes, Vm
from memvirt.memory.replacement._none import make as untracked
from memvirt.memory.scheduler._moves import make_moves
from memvirt.memory.state import AS_DATA, INTERLEAVE, LOCAL, NOTHING, OF_HOST, REPLICATED, Policies, Window, World
from memvirt.memory.topology import as_bits, fallback_order, plain_distances
from memvirt.memory.turns import rings, tournament
from memvirt.policy import load
from memvirt.types import FIRST_FRAME, GUEST_EVENT, ORDERS, EventRecord, GuestEvent, RunRecord, Trace
from memvirt.typing import Records, dtype_of

DEAL, VISITS = 4096, 16  #: accesses dealt to a vCPU at a time, and visits of a page life
QUANTUM_NS = 10e6  #: how long a vCPU with a page life runs before another may go, where there is no device to queue at
OF_LATENCY = 0.25  #: the part of the device's latency that it runs where there is one, so that requests come in order
OF_ALL = [int(kind) for kind in (GuestEvent.PACE, GuestEvent.UNTIL, GuestEvent.IDLE)]  #: of a page life, each vCPU's
MOST_EPOCHS = 1 << 16
WINDOW = 1 << 16  #: accesses of a vCPU that the loop sees at a time


def records(size: int, record: type[R]) -> Records[R]:
    """A table of zeroed records whose fields are attributes, in kernels and in plain Python."""
    table: Any = np.zeros(size, dtype_of(record)).view(np.recarray)  # type: ignore[arg-type]  # a class is hashable
    return table  # type: ignore[no-any-return]


R = TypeVar("R")


def _bumps(tables: NDArray[np.int64], block: int, in_range: bool) -> Records[Bump]:
    """Where frame numbers come from; ``in_range``: whole blocks for all of each VM's ``tables`` are taken before any data."""
    bumps = records(2 * tables.size + 1, Bump)
    bumps.next[::2] = FIRST_FRAME
    bumps.end[::2] = bumps.block[::2] = block
    bumps.end[-1] = bumps.block[-1] = 512
    if in_range:
        bumps.next[1::2] = block
        bumps.end[1::2] = bumps.block[:-1:2] = block + -(-tables // block) * block
    return bumps


def image_number(config: MemoryConfig, vm: int) -> int:
    """Number of a VM's image among those of all VMs."""
    images = list(dict.fromkeys(member.contents.image for member in config.members))
    return images.index(config.members[vm].contents.image)


def _pages(config: MemoryConfig, pages: PageLayout) -> Records[Page]:
    table = records(pages.vpn.size, Page)
    table.vpn, table.first, table.end, table.row = pages.vpn, pages.first_page, pages.end_page, pages.row
    table.order, table.host_order, table.frame, table.file = pages.order, 255, NOTHING, pages.file
    for vm, member in enumerate(config.members):
        first, end = pages.base[vm], pages.base[vm + 1]
        table.content[first:end] = first_contents(member.contents, image_number(config, vm), first, end - first)
    return table


def _frames(config: MemoryConfig, frames: FrameLayout) -> Records[Frame]:
    table = records(int(frames.base[-1]), Frame)
    table.hfn = table.page = table.next_free = table.sharer = table.sharer_before = NOTHING
    table.seen = -1
    table.vm = np.repeat(np.arange(len(config.members), dtype=np.uint16), np.diff(frames.base))
    if config.dimensions == 2:
        table.order = ORDERS.get(config.host.page_size, 0)
        if config.host.page_size == "thp":
            owner = table.vm[::512].astype(np.int64)
            number = np.arange(owner.size) - frames.base[owner] // 512
            large = chance(config.seed + 1, owner, number) >= config.host.fragmentation
            table.order = np.repeat(np.where(large, ORDERS["2M"], 0), 512)
    return table


def _host_rows(config: MemoryConfig, frames: FrameLayout) -> tuple[NDArray[np.uint32], int]:
    owner = np.repeat(np.arange(len(config.members)), np.diff(frames.base) // 512)
    number = np.arange(owner.size) - frames.base[owner] // 512
    return radix_tables([owner], number, config.host.levels if config.dimensions == 2 else 0)


def _tables(count: int) -> Records[Table]:
    tables = records(count, Table)
    tables.frame = tables.hfn = NOTHING
    return tables


def _table_nodes(config: MemoryConfig) -> Records[TableNodes]:
    """Where tables go; in one dimension the host's table of a process is that process's."""
    numa, places = config.numa, {"as_data": AS_DATA, "local": LOCAL, "interleave": INTERLEAVE, "replicated": REPLICATED}
    chosen = [numa.of_processes(config.dimensions)] * 2
    if config.dimensions == 2:
        chosen[OF_HOST] = numa.of_host(config.dimensions)
    kinds = records(2, TableNodes)
    firsts = [first if each == MIGRATED else each for first, each in zip(("as_data", "local"), chosen, strict=True)]
    kinds.node = [int(each) if each.isdigit() else places[each] for each in firsts]
    kinds.follows = [each == MIGRATED for each in chosen]
    kinds.copies = [numa.nodes - 1 if each == "replicated" else 0 for each in chosen]
    return kinds


def _fallback(config: MemoryConfig) -> NDArray[np.int64]:
    numa = config.numa
    distances = plain_distances(numa.nodes) if numa.distances is None else np.array(numa.distances, np.int64)
    return fallback_order(distances, [node < numa.cpu_nodes for node in range(numa.nodes)])


def _nodes(frames: FrameLayout) -> Records[Node]:
    nodes = records(frames.capacity.size, Node)
    nodes.capacity = nodes.free = frames.capacity
    nodes.free_small = nodes.free_large = NOTHING
    return nodes


def _cpus(config: MemoryConfig) -> Records[Cpu]:
    cpus = records(config.numa.cpu_nodes * config.numa.cpus_per_node, Cpu)
    cpus.node = np.arange(cpus.size) // config.numa.cpus_per_node
    cpus.current = cpus.label = -1
    return cpus


def guest_swap(config: MemoryConfig, memory: int) -> int:
    """Pages of a guest's own swap file."""
    if config.guest.swap is not None:
        return config.guest.swap >> 12
    return memory if config.reclaim.balloon.name != "none" else 0


def may_page(config: MemoryConfig, pages: PageLayout, frames: FrameLayout) -> bool:
    """Whether some guest can give up pages: to its own swap, or files' pages where it has more pages than memory."""
    if any(guest_swap(config, int(limit)) for limit in frames.limit):
        return True
    if not pages.file.any():
        return False
    kernel = [kernel_pages(int(limit), config.page_struct) for limit in frames.limit]
    crowded = np.diff(pages.base) + kernel > frames.limit
    return bool(crowded[pages.vm[pages.file]].any())


def _vms(config: MemoryConfig, traces: list[Trace], pages: PageLayout, frames: FrameLayout) -> Records[Vm]:
    vms = records(len(traces), Vm)
    vms.page_base, vms.frame_base, vms.limit = pages.base[:-1], frames.base[:-1], frames.limit
    vms.free[:] = vms.reported[:] = vms.balloon[:] = vms.cache_first = NOTHING
    vms.counted_from = -1.0
    vms.ahead_last, vms.ahead_hits = NOTHING, FIRST_HITS
    for vm, member in enumerate(config.members):
        guest = vms[vm]
        guest.lived_until, guest.shares, guest.least = member.start, member.shares, member.reservation >> 12
        guest.most = member.limit >> 12 if member.limit is not None else 0
        guest.high = member.high >> 12 if member.high is not None else 0
        guest.fits_1k, guest.fits_2k = member.contents.fits_1k, member.contents.fits_2k
        guest.balloon_most = int(config.reclaim.balloon.options.get("cap", 1.0) * int(guest.limit))
        guest.guest_swap = guest_swap(config, int(guest.limit))
        guest.nodes = EVERY if member.nodes is None else as_bits("vms.nodes", member.nodes, config.numa.nodes)
    vms.warmup = [warmup_of(trace, member.warmup) for trace, member in zip(traces, config.members, strict=True)]
    return vms


def warmup_of(trace: Trace, asked: float) -> int:
    """How many accesses are warm-up, of a share below 1 or a number of them; of a page life seconds."""
    if asked < 1:
        return int(asked * trace.accesses)
    if trace.life:
        step = int(np.searchsorted(trace.steps["time"], asked))
        return int(trace.steps["at"][min(step, trace.steps.size - 1)])
    return min(int(asked), trace.accesses)


def deal_of(traces: list[Trace]) -> int:
    """How many accesses are dealt to a vCPU at a time."""
    return VISITS if any(trace.life for trace in traces) else DEAL


def dealt(accesses: Any, vcpu: int, vcpus: int, deal: int = DEAL) -> Any:
    """How many of a VM's first accesses fall to one of its vCPUs; of a number of them, or of each in an array."""
    rounds, rest = np.divmod(accesses, vcpus * deal)
    return rounds * deal + np.clip(rest - vcpu * deal, 0, deal)


def events_of_life(trace: Trace, vcpu: int, vcpus: int) -> Any:
    """As `own_events`, of a page life: each vCPU has its pace and its pauses, and the first one frees what is freed."""
    chosen = np.isin(trace.events["kind"], OF_ALL) if vcpu else slice(None)
    mine = trace.events[chosen].copy()
    mine["at"] = dealt(mine["at"].astype(np.int64), vcpu, vcpus, VISITS)
    return mine


def own_events(trace: Trace, vcpu: int, vcpus: int) -> Any:
    """The trace's events that fall to a vCPU, ``at`` its own count of accesses.

    A vCPU that takes up a deal finds its own address space loaded, so each deal starts with a switch
    wherever the VM has several (the loop passes over one that changes nothing).
    """
    events = trace.events
    if vcpus == 1:
        return events
    if trace.life:
        return events_of_life(trace, vcpu, vcpus)
    at = events["at"].astype(np.int64)
    mine = events[(at // DEAL) % vcpus == vcpu]
    position = mine["at"].astype(np.int64)
    mine = mine.copy()
    mine["at"] = position // (DEAL * vcpus) * DEAL + position % DEAL
    switches = events[events["kind"] == GuestEvent.SWITCH]
    if switches.size:
        starts = np.arange(vcpu * DEAL, trace.accesses, DEAL * vcpus)
        latest = np.searchsorted(switches["at"].astype(np.int64), starts, side="right") - 1
        extra = np.zeros(starts.size, GUEST_EVENT)
        extra["at"] = np.arange(starts.size) * DEAL
        extra["kind"] = GuestEvent.SWITCH
        extra["asid"] = np.where(latest >= 0, switches["asid"][np.maximum(latest, 0)], trace.pages.asid[0])
        mine = np.concatenate([extra, mine])
        mine = mine[np.argsort(mine["at"], kind="stable")]
    return mine


def begins_call(events: Any) -> NDArray[np.bool_]:
    """Whether each event of a vCPU is the first of its system call: events of one kind before one access are one."""
    begins = np.ones(events.size, bool)
    begins[1:] = (events["at"][1:] != events["at"][:-1]) | (events["kind"][1:] != events["kind"][:-1])
    return begins


def _actors(config: MemoryConfig, traces: list[Trace]) -> tuple[Records[Actor], Records[OwnEvent]]:
    numa = config.numa
    scheduler = load("memory.scheduler", numa.scheduler.name, "numa.scheduler")
    counts = [member.vcpus for member in config.members]
    actors = records(sum(counts), Actor)
    shown = numa.vnuma == "shown" and config.dimensions == 2
    actors.cpu = scheduler.assign(counts, numa.cpu_nodes, numa.cpus_per_node, **numa.scheduler.options)
    events = []
    for number, (vm, vcpu) in enumerate((vm, vcpu) for vm, count in enumerate(counts) for vcpu in range(count)):
        actor, trace, vcpus = actors[number], traces[vm], counts[vm]
        actor.vm, actor.vcpu, actor.vcpus = vm, vcpu, vcpus
        actor.home = actor.cpu // numa.cpus_per_node if shown else NOTHING
        actor.total = dealt(trace.accesses, vcpu, vcpus, deal_of(traces))
        actor.ready = actor.start = config.members[vm].start
        actor.asid = trace.pages.asid[0] if trace.pages.asid.size else 0
        events.append(own_events(trace, vcpu, vcpus))
    every = np.concatenate(events)
    own = records(every.size, OwnEvent)
    for name in every.dtype.names or ():
        own[name] = every[name]
    own.call = np.concatenate([begins_call(part) for part in events])
    actors.ran_on = NOTHING
    actors.event_end = np.cumsum([part.size for part in events])
    actors.event_next[1:] = actors.event_end[:-1]
    return actors, own


def per_vm(config: MemoryConfig) -> bool:
    """Whether reclaim takes pages from one VM at a time, so that replacement must tell VMs apart."""
    limited = any(member.is_capped for member in config.members)
    return config.reclaim.per_vm or limited


def make_policies(config: MemoryConfig, pages: PageLayout, frames: FrameLayout, host_frames: int) -> Policies:
    """States of the policies, for so many frames of guests and host."""
    numa, reclaim, vms = config.numa, config.reclaim, len(config.members)
    items = int(frames.base[-1])
    owner = np.repeat(np.arange(vms), np.diff(frames.base))
    if per_vm(config):
        replacement = make_policy("memory.replacement", reclaim.replacement, "reclaim.replacement", items, config.seed, owner)
    else:
        replacement = make_policy("memory.replacement", reclaim.replacement, "reclaim.replacement", items, config.seed)
    guest: Any = untracked()
    if may_page(config, pages, frames):
        chosen, key = Choice(name=config.guest.replacement), "guest.replacement"
        groups = pages.vm + vms * pages.file  # files' pages behind all VMs' own
        guest = make_policy("memory.replacement", chosen, key, pages.vm.size, config.seed, groups)
    host = Choice(name=reclaim.name, **reclaim.options)
    rule = config.reclaim.victims
    if per_vm(config) and rule.name == "global":  # each VM has its own pages, so one must be asked
        rule = Choice(name="shares")
    return Policies(
        replacement=replacement,
        placement=make_policy("memory.placement", numa.placement, "numa.placement", numa.nodes),
        scheduler=_scheduler(config),
        reclaim=make_policy("memory.reclaim", host, "reclaim", vms, config.seed, frames=items),
        sharing=make_policy("memory.sharing", reclaim.sharing, "reclaim.sharing", items, host_frames, config.seed),
        balloon=make_policy("memory.balloon", reclaim.balloon, "reclaim.balloon", vms, config.seed, frames=items),
        compression=make_policy("memory.compression", reclaim.compression, "reclaim.compression", owner, vms),
        migration=_migration(config, frames),
        guest=guest,
        victims=victims.make(vms, config.seed, rule.name, **rule.options),
    )


def _scheduler(config: MemoryConfig) -> Any:
    """State of the scheduler; of one that moves nothing, the same for all."""
    numa = config.numa
    module, cpus = load("memory.scheduler", numa.scheduler.name, "numa.scheduler"), numa.cpu_nodes * numa.cpus_per_node
    if not hasattr(module, "make"):
        return make_moves(cpus)
    return module.make([member.vcpus for member in config.members], cpus, **numa.scheduler.options)


def _migration(config: MemoryConfig, frames: FrameLayout) -> Any:
    """State of what moves data to who uses them; on one node nothing does."""
    numa = config.numa
    host = Host(len(config.members), numa.nodes, int(frames.base[-1]), config.dimensions, config.clock.daemon_speedup)
    return make_policy("memory.migration", numa.migration, "numa.migration", host) if numa.nodes > 1 else make_still(host)


def measured(policies: Policies) -> tuple[Any, ...]:
    """The policies that can have counters of their own."""
    return policies.reclaim, policies.replacement, policies.sharing, policies.balloon, policies.compression, policies.migration


def _rules(config: MemoryConfig, traces: list[Trace], pages: PageLayout, frames: FrameLayout) -> Records[Rules]:
    rules = records(1, Rules)
    rule, virtual = rules[0], config.dimensions == 2
    rule.dimensions, rule.nodes = config.dimensions, config.numa.nodes
    scale = rule.scale = config.scale
    rule.ns_per_instruction, rule.minor_fault_ns = config.clock.ns_per_instruction, config.clock.minor_fault * scale
    rule.slice_ns, rule.epoch_ns = config.numa.slice, config.epoch.time or 0.0
    rule.quantum, rule.epoch_accesses, rule.deal = config.clock.quantum, config.epoch.accesses or 0, deal_of(traces)
    latency = config.reclaim.device.read_latency * scale
    rule.quantum_ns = OF_LATENCY * latency if latency > 0 else QUANTUM_NS
    rule.charge_tables, rule.keep_mapped = config.overcommit.charge_tables, config.keep_mapped
    rule.host_levels = config.host.levels if virtual else 0
    rule.follows = config.numa.moves
    rule.forks = any((trace.events["kind"] == GuestEvent.PROTECT).any() for trace in traces)
    short = int(frames.capacity.sum()) < int(frames.promised.sum()) or config.overcommit.charge_tables
    limited = any(member.is_capped for member in config.members)
    rule.contents = config.reclaim.sharing.name != "none" or config.reclaim.compression.name != "none"
    rule.tracked = short or limited or rule.contents or may_page(config, pages, frames) or config.reclaim.in_background
    rule.per_vm = per_vm(config)
    rule.foresees = config.reclaim.foresees
    rule.readahead = 1 << config.reclaim.page_cluster
    rule.slots = (config.reclaim.swap_size or 0) >> 12
    largest = min(max(frames.unit, 1 << int(pages.order.max(initial=0))), int(pages.vpn.size)) + 2
    rule.margin = 64 + 2 * largest + (8 * largest + 2 * STEP if rule.tracked else 0)
    rule.block = max(512, frames.unit) if virtual else 512
    rule.table_area = config.table_area != "data"
    rule.table_order = ORDERS[config.host.table_page_size] if virtual and config.host.table_page_size is not None else -1
    breaks = config.host.page_size == "2M" and (config.reclaim.sharing.name != "none" or config.reclaim.balloon.name != "none")
    rule.split = virtual and (config.host.page_size == "thp" or breaks)
    device, clock = config.reclaim.device, config.clock
    rule.read_latency_ns, rule.write_latency_ns = device.read_latency * scale, device.write_latency * scale
    rule.ns_per_page = 4096e9 / device.bandwidth * scale
    rule.merge_ns, rule.cow_ns, rule.scan_ns = clock.merge * scale, clock.cow_break * scale, clock.scan * scale
    rule.migrate_ns, rule.copy_ns = clock.migrate * scale, clock.copy_page * scale
    rule.reclaim_ns, rule.swap_out_ns = clock.reclaim_page * scale, clock.swap_out_page * scale
    rule.reclaim_waits = clock.reclaim_waits
    rule.compress_ns, rule.decompress_ns = clock.compress * scale, clock.decompress * scale
    rule.sample_ns, rule.speedup = clock.sample, clock.daemon_speedup  # a sample stays as large as it is
    return rules


def first_epochs(config: MemoryConfig, vms: Records[Vm], traces: list[Trace]) -> int:
    """How many epochs to make room for at first: all of them where they are counted in accesses."""
    if config.epoch.time is not None:
        return 64
    counted = max(trace.accesses - int(vm.warmup) for trace, vm in zip(traces, vms, strict=True))
    grain = config.epoch.accesses
    epochs = 2 + max(counted - 1, 0) // grain if grain else 2
    if epochs > MOST_EPOCHS:
        raise ConfigError("epoch.accesses", grain, f"makes {epochs:,} epochs, more than {MOST_EPOCHS:,}; make them longer")
    return epochs


def build(config: MemoryConfig, traces: list[Trace], pages: PageLayout, frames: FrameLayout, most_window: int = WINDOW) -> World:
    """Everything at its start: nothing mapped, nothing backed.

    ``most_window``: accesses of a vCPU that the loop sees at a time, at the most.

    Raises
    ------
    ConfigError
        For policies that don't exist, and sizes beyond signed 32-bit frame numbers.
    """
    host_rows, host_tables = _host_rows(config, frames)
    data = min(int(frames.capacity.sum()), int(frames.base[-1]))
    most = FIRST_FRAME + 2 * (data + 2 * frames.unit) + pages.tables * frames.unit + host_tables + 4 * max(512, frames.unit)
    if max(most, int(frames.base[-1])) > np.iinfo(np.int32).max:
        raise ConfigError("vms.memory", data << 12, "makes more frames than signed 32-bit frame numbers name")
    vms = _vms(config, traces, pages, frames)
    actors, own_events_ = _actors(config, traces)
    cpus = _cpus(config)
    rings(cpus, actors)
    rules = _rules(config, traces, pages, frames)
    clock = records(1, Clock)
    clock.total = clock.free = frames.capacity.sum()
    clock.contents = WRITTEN
    window = max(1, min(most_window, int(actors.total.max())))
    policies = make_policies(config, pages, frames, most)
    if config.numa.moves_data:
        most_events = load("memory.migration", config.numa.migration.name).most_events
        rules.margin += most_events(policies.migration, pages.tables + host_tables)
    vms.nodes &= allowed_nodes(policies.placement)
    record = record_of(in_use("memory", measured(policies)))
    counts: Any = np.zeros((len(traces), first_epochs(config, vms, traces)), record).view(np.recarray)
    return World(
        pages=_pages(config, pages),
        frames=_frames(config, frames),
        host_frames=records(most, HostFrame),
        vms=vms,
        actors=actors,
        cpus=cpus,
        nodes=_nodes(frames),
        bumps=_bumps(frames.tables, int(rules[0].block), config.table_area == "range"),
        guest_rows=pages.table,
        host_rows=host_rows,
        guest_tables=_tables(pages.tables),
        host_tables=_tables(host_tables),
        table_nodes=_table_nodes(config),
        fallback=_fallback(config),
        touched=np.zeros((actors.size, config.numa.nodes), np.int64),
        window=Window(
            np.zeros((actors.size, window), np.uint32),
            np.zeros((actors.size, window), np.uint8),
            np.zeros((actors.size, window), np.uint8),
            np.zeros((actors.size, window if rules[0].foresees else 0), np.uint32),
        ),
        own_events=own_events_,
        channels=np.zeros(config.reclaim.device.channels),
        due=tournament(cpus, actors),
        clock=clock,
        rules=rules,
        runs=records(4096, RunRecord),
        events=records(max(1 << 16, 2 * int(rules[0].margin)), EventRecord),
        counts=counts,
        policies=policies,
    )
