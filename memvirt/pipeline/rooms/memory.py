"""The memory room's part: where each page is and what happened; and whether a point's mechanisms go together."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from memvirt import memory, mmu, workload
from memvirt.errors import ConfigError, Conflict
from memvirt.memory.config import check_mechanisms, check_pace, check_replacement, check_table_area, swaps_itself
from memvirt.memory.dump import check_dumps
from memvirt.memory.options import a_period
from memvirt.memory.topology import as_bits
from memvirt.pipeline.detail import NO_RECLAIM
from memvirt.pipeline.point import VM_KEYS, Point
from memvirt.pipeline.room import Fields, Reading, Room, Vms
from memvirt.policy import load
from memvirt.types import EVENTS, Event, Machine
from memvirt.workload.files import file_digest


def _member_config(point: Point, vm: int, contents_matter: bool) -> dict[str, Any]:
    member = point.member(vm)
    config: dict[str, Any] = {name: getattr(member.vms, name) for name in VM_KEYS}
    config["warmup"] = float(member.workload.warmup)
    if contents_matter:
        config["contents"] = member.contents.model_dump()
    scale = _sampled(point)
    if scale > 1:
        for name in OF_MEMORY:
            config[name] = _part(config[name], scale)
        if contents_matter and config["contents"]["distinct"] is not None:
            config["contents"]["distinct"] = max(1, round(config["contents"]["distinct"] / scale))
    return config


OF_MEMORY = ("memory", "cache", "reservation", "limit", "high")  #: sizes of a VM that are divided where its pages are sampled


def _part(size: int | None, scale: float) -> int | None:
    """A size of a host whose pages are sampled, in whole pages."""
    return None if size is None else round(size / 4096 / scale) * 4096


def _sampled(point: Point) -> float:
    """One page of how many is simulated: `vms.scale` where VMs have page lives."""
    return point.vms.scale if workload.is_life(point.member(0).workload) else 1.0


def _is_alone(point: Point) -> bool:
    """Whether the host's paging isn't there: VMs are its processes, or it maps everything to itself."""
    return mmu.traits(point.mmu).dimensions == 1 or point.host.levels == 0


def _has_enough(point: Point, vms: Vms) -> bool:
    """Whether the host can't run short, so that reclaim is never asked."""
    overcommit = point.overcommit
    enough = overcommit.host_memory is None and (overcommit.ratio or 1.0) <= 1.0 and not overcommit.charge_tables
    enough = enough and (overcommit.ratio is not None or point.numa.memory is None)
    return enough and _only_if_short(point, vms)


def _only_if_short(point: Point, vms: Vms) -> bool:
    """Whether no page is taken from a VM while the host isn't short of memory."""
    return not point.reclaim.in_background and all(not point.member(vm).vms.is_capped for vm in vms)


#: Sections on which it depends whether a point's mechanisms go together.
CHECKED = ("vms", "workload", "contents", "guest", "host", "clock", "overcommit", "reclaim", "mmu", "numa")


def check(point: Point) -> None:
    """Refuse a point whose sections are each right, but can't be together.

    Raises
    ------
    ConfigError
    """
    vms = tuple(range(point.count))
    for vm in vms:
        workload.check_levels(point.member(vm).workload, point.guest.levels)
    _check_lives(point)
    alone = _is_alone(point)
    check_dumps(point.guest, None if alone else point.host, point.count, point.numa.nodes)
    if not alone:
        check_table_area(point.guest, point.host)
    for vm in vms:
        if (chosen := point.member(vm).vms.nodes) is not None:
            as_bits("vms.nodes", chosen, point.numa.nodes)
    placed = [point.numa.of_processes(1 if alone else 2), *([] if alone else [point.numa.of_host(2)])]
    if point.overcommit.charge_tables and "replicated" in placed:
        raise Conflict(
            "overcommit.charge_tables", True, "can't charge replicas of page tables (numa.guest_tables, numa.host_tables)"
        )
    if point.overcommit.charge_tables and "migrated" in placed:
        raise Conflict("overcommit.charge_tables", True, "can't charge page tables that move (numa.guest_tables, numa.host_tables)")
    _check_migration(point, alone)
    enough = _has_enough(point, vms)
    if swaps_itself(point.guest, point.reclaim) and not (enough and point.guest.swap is None):
        check_replacement("guest.replacement", point.guest.replacement, "the guest's own swap")
    if not enough:
        members = [point.member(vm).vms for vm in vms]
        check_mechanisms(point.reclaim, 1 if alone else 2, point.guest, point.host, max(each.vcpus for each in members))
        limited = any(each.is_capped for each in members)
        if point.reclaim.per_vm or limited:
            check_replacement("reclaim.replacement", point.reclaim.replacement.name, _who_asks(point))
        check_pace(point.reclaim, point.clock, max(_longest(point, vm) for vm in vms))


def _check_migration(point: Point, alone: bool) -> None:
    """Refuse a guest that moves its own pages where these aren't its host's, since it can't split them."""
    moves = point.numa.moves_data and point.numa.migration.options.get("where") == "guest" and not alone
    sizes = point.guest.page_size, point.host.page_size
    if moves and (sizes[0] != sizes[1] or "thp" in sizes):
        why = f"moves pages of guest and host alike, and these are of {sizes[0]} and {sizes[1]}: set both to 4K or to 2M"
        raise Conflict("numa.migration.where", "guest", why)


def _check_lives(point: Point) -> None:
    """Refuse page lives beside access-level traces, a scale that none can have, and epochs too short for what a fault takes."""
    kinds = [workload.is_life(point.member(vm).workload) for vm in range(point.count)]
    if not any(kinds):
        return
    if not all(kinds):
        vm = kinds.index(False)
        name = point.member(vm).workload.name
        raise Conflict("workload", name, f"is an access-level trace, and others of the VMs have page lives: VM {vm} needs one too")
    if point.numa.bandwidths is not None:
        why = "is of access-level traces: what page lives refer to is known by their detail, and not when"
        raise Conflict("numa.bandwidths", point.numa.bandwidths, why)
    told = np.array(point.numa.latencies or [[0.0]])
    own = np.eye(len(told), dtype=bool)
    if np.unique(told[own]).size > 1 or np.unique(told[~own]).size > 1:
        why = "has for page lives one latency of the own node's memory and one of all others', since they aren't told apart by pair"
        raise Conflict("numa.latencies", point.numa.latencies, why)
    scale, epoch = point.vms.scale, point.epoch.time
    if scale < 1:
        raise ConfigError("vms.scale", f"{scale:g}", "of page lives is 1 or more: one page of so many is simulated")
    latency = max(point.reclaim.device.read_latency, point.reclaim.device.write_latency)
    if epoch is not None and scale * latency > epoch / 10:
        least = scale * latency / 1e8
        why = f"is too short for a fault that stands for {scale:g}, of {latency / 1e6:g} ms each: {least:g}s at the least"
        raise Conflict("epoch.time", f"{epoch / 1e9:g}s", why)
    _check_cpus(point)


def _check_cpus(point: Point) -> None:
    """Refuse open lives that are busy on more CPUs than there are: what is late would never be caught up with."""
    busy = 0.0
    for vm in range(point.count):
        member = point.member(vm)
        life = workload.life_of(member.workload, vm, member.vms.vcpus)
        if life.loop == "open":
            busy += float(np.average(life.busy, weights=np.diff(life.times)))
    cpus = point.numa.cpu_nodes * point.numa.cpus_per_node
    if busy > cpus:
        least = math.ceil(busy / point.numa.cpu_nodes)
        why = f"the VMs' lives are busy on {busy:.3g} vCPUs on average, and the host has {cpus} CPUs: at least {least} a node"
        raise Conflict("numa.cpus_per_node", point.numa.cpus_per_node, why)


def _who_asks(point: Point) -> str:
    """Which of a point's keys has the host take pages of one VM at a time."""
    if getattr(load("memory.reclaim", point.reclaim.name), "PER_VM", False):
        return f"reclaim={point.reclaim.name}"
    rule = point.reclaim.victims.name
    return f"reclaim.victims={rule}" if rule != "global" else "vms.limit or vms.high"


def _longest(point: Point, vm: int) -> float:
    """What a VM's instructions and pauses take, about (ns)."""
    work, start = point.member(vm).workload, point.member(vm).vms.start
    if workload.is_life(work):
        return start + float(workload.life_of(work, vm, point.member(vm).vms.vcpus).times[-1]) * 1e9
    accesses = workload.length(work)
    pauses = accesses // work.idle_every if work.idle_every else 0
    return start + accesses * work.instructions_per_access * point.clock.ns_per_instruction + pauses * work.idle_time


def _dumps(point: Point, alone: bool) -> list[str]:
    """Digests of the page tables that fix the layout."""
    paths = (point.guest.page_table, None if alone else point.host.page_table)
    return [file_digest(Path(path)) for path in paths if path is not None]


#: Of NUMA, what only prices read.
NUMA_PRICES = ("latencies", "bandwidths", "background", "banks")


def _numa(point: Point, alone: bool, scale: float) -> dict[str, Any]:
    """What the room reads of NUMA: where the host's tables are only where it has any, and no prices."""
    numa = point.numa
    said: dict[str, Any] = numa.model_dump(exclude={"guest_tables", "host_tables", "shadow_tables", "page_tables", *NUMA_PRICES})
    said["guest_tables"] = numa.of_processes(1 if alone else 2)
    if alone:
        said["vnuma"] = "hidden"  # a process sees the host
    else:
        said["host_tables"] = numa.of_host(2)
    if "scale" in said["migration"] and said["migration"]["scale"] is None:
        said["migration"]["scale"] = point.vms.scale
    if numa.memory is not None:
        said["memory"] = [_part(size, scale) for size in numa.memory]
    return said


def _config(point: Point, vms: Vms) -> dict[str, Any]:
    alone = _is_alone(point)
    overcommit = point.overcommit.model_dump()
    reclaim: dict[str, Any] = point.reclaim.model_dump()
    if "scale" in reclaim and reclaim["scale"] is None:
        reclaim["scale"] = point.vms.scale
    scale = _sampled(point)
    if scale > 1 and "tick" in reclaim:  # a look stands for the looks at the allocations that a page stands for
        reclaim["tick"] = scale * a_period("reclaim.tick", reclaim["tick"])
    overcommit["host_memory"] = _part(overcommit["host_memory"], scale)
    guest = {**point.guest.model_dump(), **({"table_area": None} if alone else {})}
    guest["swap"] = _part(guest["swap"], scale)
    reclaim["swap_size"] = _part(reclaim["swap_size"], scale)
    if "max_page_sharing" in reclaim["sharing"]:
        reclaim["sharing"]["max_page_sharing"] = max(2, round(reclaim["sharing"]["max_page_sharing"] / scale))
    enough = _has_enough(point, vms)
    if enough or (point.reclaim.name == "none" and _only_if_short(point, vms)):  # then the run ends where the host is short
        reclaim = NO_RECLAIM
    if enough and (overcommit["ratio"] is not None or point.numa.nodes == 1):  # else each node holds everything
        overcommit["ratio"] = min(overcommit["ratio"] or 1.0, 1.0)
    matter = reclaim["sharing"]["name"] != "none" or reclaim["compression"]["name"] != "none"
    return {
        "dimensions": 1 if alone else 2,
        "members": [_member_config(point, vm, matter) for vm in vms],
        "guest": guest,
        "host": {} if alone else point.host.model_dump(),  # one dimension: the host's paging isn't there to be read
        "clock": point.clock.model_dump(),
        "epoch": point.epoch.model_dump(),
        "numa": _numa(point, alone, scale),
        "overcommit": overcommit,
        "reclaim": reclaim,
        "dumps": _dumps(point, alone),
        "keep_mapped": False,
        "scale": scale,
        "seed": point.workload.seed,
    }


def _baseline(point: Point, vms: Vms) -> dict[str, Any]:
    """What the definition of `slowdown` keeps: alone, everything mapped, local, without faults."""
    members = [point.member(vm) for vm in vms]
    numa = {
        "cpus_per_node": max(1, *(member.vms.vcpus for member in members)),
        "placement": {"name": "first_touch"},
        "scheduler": {"name": "packed"},
        "slice": point.numa.slice,
    }
    return {
        "dimensions": 1,
        "members": [{"vcpus": member.vms.vcpus, "warmup": float(member.workload.warmup)} for member in members],
        "guest": {
            **point.guest.model_dump(),
            "prefault": point.guest.prefault or True,
            "table_area": None,
            "swap": None,
            "replacement": "lru",
        },
        "host": {},
        "clock": point.clock.model_dump(),
        "epoch": point.epoch.model_dump(),
        "numa": numa,
        "overcommit": {"ratio": 1.0, "host_memory": None, "charge_tables": False},
        "reclaim": NO_RECLAIM,
        "dumps": _dumps(point, True),
        "keep_mapped": True,
        "seed": point.workload.seed,
    }


def _run(config: Any, inputs: list[Fields]) -> Fields:
    machine = memory.run(memory.MemoryConfig.model_validate(config), [each["trace"] for each in inputs])
    kinds = np.bincount(machine.shootdowns["kind"], minlength=len(Event) + 1)
    return {
        **machine._asdict(),
        "evictions": any(kinds[kind] for kind, known in EVENTS.items() if known.invept) or None,
        "switches": bool(kinds[Event.SWITCH]) or None,
    }


ROOM = Room(
    name="memory",
    run=_run,
    config=Reading(
        ("workload", "vms", "contents", "guest", "host", "clock", "epoch", "numa", "overcommit", "reclaim", "mmu"),
        _config,
        of_vms=True,
    ),
    baseline=Reading(("workload", "vms", "contents", "guest", "clock", "epoch", "numa"), _baseline, of_vms=True),
    reads={"workload": ("trace",)},
    gives=(*Machine._fields, "evictions", "switches"),
    code=("memvirt.memory",),
    costs_memory=True,
    by_value=("counters",),
    seconds=0.002,
    seconds_an_access=8e-9,
)
