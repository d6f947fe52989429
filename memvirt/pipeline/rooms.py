"""What each room reads: the sections of a point and its own config made of them, the fields of earlier rooms, and its code."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from memvirt import mmu, workload
from memvirt.code import code_digest, own_digest
from memvirt.digest import text_digest
from memvirt.memory.config import check_mechanisms, check_pace, check_replacement, check_table_area, swaps_itself
from memvirt.pipeline.point import VM_KEYS, Point

Fields = dict[str, Any]

#: Which sections of a point a room's config is made of; the function that makes it sees no others.
READS: dict[str, tuple[str, ...]] = {
    "workload": ("workload", "vms", "contents"),
    "memory": ("workload", "vms", "contents", "guest", "host", "clock", "epoch", "numa", "overcommit", "reclaim", "mmu"),
    "tlb": ("tlb", "mmu"),
    "mmu": ("mmu", "cache", "tlb"),
    "fused": ("tlb", "mmu", "cache"),
    "cost": ("cpu",),
    "result": (),
    "baseline memory": ("workload", "vms", "contents", "guest", "clock", "numa"),
    "baseline tlb": ("tlb", "mmu"),
    "baseline mmu": ("mmu", "cache", "tlb"),
    "baseline fused": ("tlb", "mmu", "cache"),
}

#: Modules that make a room's stages; what they import counts too.
CODE = {
    "workload": ("memvirt.workload",),
    "memory": ("memvirt.memory",),
    "tlb": ("memvirt.tlb",),
    "mmu": ("memvirt.mmu",),
    "fused": ("memvirt.mmu.fused",),
    "cost": ("memvirt.cost",),
    "result": ("memvirt.result.rows",),
}
#: What calls the rooms: these import every room, so only their own code counts.
CALLERS = ("memvirt.pipeline.compute", "memvirt.pipeline.layout", "memvirt.pipeline.rooms")


@cache
def room_code(room: str) -> str:
    """Digest of all code that a room's stages can depend on."""
    return text_digest(code_digest(*CODE[room]), own_digest(*CALLERS))


EMPTY = "empty"  #: the digest of a field that holds nothing


#: Fields that a room's stages read of each of the rooms that they need.
FIELDS_READ: dict[str, dict[str, tuple[str, ...]]] = {
    "memory": {"workload": ("trace",)},
    "tlb": {"workload": ("trace",), "memory": ("space", "schedule", "shootdowns", "evictions", "switches")},
    "mmu": {"workload": ("trace",), "memory": ("space", "schedule", "frames", "nodes"), "tlb": ("offsets",)},
    "fused": {"workload": ("trace",), "memory": ("space", "schedule", "frames", "nodes")},
    "cost": {
        "memory": ("counters",),
        "tlb": ("counters",),
        "mmu": ("counters", "levels", "paths"),
        "fused": ("counters", "levels", "paths"),
    },
    "result": {
        "memory": ("counters",),
        "tlb": ("counters",),
        "mmu": ("counters", "histogram", "levels"),
        "fused": ("counters", "histogram", "levels"),
        "cost": ("cycles", "level_cycles", "latency"),
    },
}
#: Pairs of a config key and a field that is read: while the field is empty, the key can't matter.
MOOT: dict[str, tuple[tuple[str, str], ...]] = {"tlb": (("host_unmap", "evictions"), ("flush_on_switch", "switches"))}


@cache
def reads(room: str, needs: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Fields that a stage of a room reads of each of the stages that it needs, given their rooms."""
    return tuple([FIELDS_READ[room][each] for each in needs])


def _workload_config(point: Point, vms: tuple[int, ...]) -> dict[str, Any]:
    (vm,) = vms
    work = point.member(vm).workload
    config = work.model_dump()
    config.pop("warmup")  # the memory room's business
    return {"vm": vm, "workload": config, "content": workload.digest(work)}


#: A host that never takes a page away.
NO_RECLAIM: dict[str, Any] = {
    "name": "none",
    "replacement": {"name": "fifo"},
    **{part: {"name": "none"} for part in ("sharing", "balloon", "compression")},
    "device": {"name": "none", "read_latency": 0, "write_latency": 0, "bandwidth": 1 << 30, "channels": 1},
}


def _member_config(point: Point, vm: int, contents_matter: bool) -> dict[str, Any]:
    member = point.member(vm)
    config: dict[str, Any] = {name: getattr(member.vms, name) for name in VM_KEYS}
    config["warmup"] = float(member.workload.warmup)
    if contents_matter:
        config["contents"] = member.contents.model_dump()
    return config


def _is_alone(point: Point) -> bool:
    """Whether the host's paging isn't there: VMs are its processes, or it maps everything to itself."""
    return mmu.traits(point.mmu).dimensions == 1 or point.host.levels == 0


def _has_enough(point: Point, vms: tuple[int, ...]) -> bool:
    """Whether the host can't run short, so that reclaim is never asked."""
    overcommit = point.overcommit
    enough = overcommit.host_memory is None and (overcommit.ratio or 1.0) <= 1.0 and not overcommit.charge_tables
    return enough and not point.reclaim.in_background and all(point.member(vm).vms.limit is None for vm in vms)


#: Sections on which it depends whether a point's mechanisms go together.
CHECKED = ("vms", "workload", "contents", "guest", "host", "clock", "overcommit", "reclaim", "mmu")


def check(point: Point) -> None:
    """Refuse a point whose sections are each right, but can't be together.

    Raises
    ------
    ConfigError
    """
    vms = tuple(range(point.count))
    alone = _is_alone(point)
    if not alone:
        check_table_area(point.guest, point.host)
    enough = _has_enough(point, vms)
    if swaps_itself(point.guest, point.reclaim) and not (enough and point.guest.swap is None):
        check_replacement("guest.replacement", point.guest.replacement, "the guest's own swap")
    if not enough:
        members = [point.member(vm).vms for vm in vms]
        check_mechanisms(point.reclaim, 1 if alone else 2, point.guest, point.host, max(each.vcpus for each in members))
        limited = any(each.limit is not None for each in members)
        if point.reclaim.per_vm or limited:
            asks = f"reclaim={point.reclaim.name}" if point.reclaim.per_vm else "vms.limit"
            check_replacement("reclaim.replacement", point.reclaim.replacement.name, asks)
        check_pace(point.reclaim, point.clock, max(_longest(point, vm) for vm in vms))


def _longest(point: Point, vm: int) -> float:
    """What a VM's instructions and pauses take, about (ns)."""
    work, start = point.member(vm).workload, point.member(vm).vms.start
    accesses = workload.length(work)
    pauses = accesses // work.idle_every if work.idle_every else 0
    return start + accesses * work.instructions_per_access * point.clock.ns_per_instruction + pauses * work.idle_time


def _memory_config(point: Point, vms: tuple[int, ...]) -> dict[str, Any]:
    alone = _is_alone(point)
    overcommit = point.overcommit.model_dump()
    reclaim: dict[str, Any] = point.reclaim.model_dump()
    if "scale" in reclaim and reclaim["scale"] is None:
        reclaim["scale"] = point.vms.scale
    if _has_enough(point, vms):
        reclaim = NO_RECLAIM
        overcommit["ratio"] = min(overcommit["ratio"] or 1.0, 1.0)
    matter = reclaim["sharing"]["name"] != "none" or reclaim["compression"]["name"] != "none"
    return {
        "dimensions": 1 if alone else 2,
        "members": [_member_config(point, vm, matter) for vm in vms],
        "guest": {**point.guest.model_dump(), **({"table_area": None} if alone else {})},
        "host": {} if alone else point.host.model_dump(),  # one dimension: the host's paging isn't there to be read
        "clock": point.clock.model_dump(),
        "epoch": point.epoch.model_dump(),
        "numa": point.numa.model_dump(),
        "overcommit": overcommit,
        "reclaim": reclaim,
        "keep_mapped": False,
        "seed": point.workload.seed,
    }


def _baseline_memory_config(point: Point, vms: tuple[int, ...]) -> dict[str, Any]:
    """What the definition of `slowdown` keeps: alone, everything mapped, local, without faults."""
    members = [point.member(vm) for vm in vms]
    numa = point.numa.model_dump()
    numa.update(nodes=1, cpus_per_node=max(1, *(member.vms.vcpus for member in members)), page_tables="as_data")
    numa.update(placement={"name": "first_touch"}, scheduler={"name": "packed"})
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
        "epoch": {},
        "numa": numa,
        "overcommit": {"ratio": 1.0, "host_memory": None, "charge_tables": False},
        "reclaim": NO_RECLAIM,
        "keep_mapped": True,
        "seed": point.workload.seed,
    }


def native(point: Point) -> mmu.Mmu:
    """The translation that `slowdown` compares with: native, with the same walk caches and bits."""
    return mmu.Mmu(name="native", **{name: getattr(point.mmu, name) for name in ("pwc", "nested_tlb", "ad_bits")})


def _tlb_of(point: Point, mode: mmu.Mmu) -> dict[str, Any]:
    traits = mmu.traits(mode)._asdict()
    for name in ("dimensions", "fused"):
        traits.pop(name)
    if traits["bypass"] is not None:
        traits["bypass"] = traits["bypass"]._asdict()
    return {"tlb": point.tlb.model_dump(), **traits}


def _mmu_of(point: Point, mode: mmu.Mmu) -> dict[str, Any]:
    return {"mmu": mode.model_dump(), "cache": point.cache.model_dump(), "pcid": point.tlb.pcid, "vpid": point.tlb.vpid}


def _fused_of(point: Point, mode: mmu.Mmu) -> dict[str, Any]:
    return {"tlb": point.tlb.model_dump(), "mmu": mode.model_dump(), "cache": point.cache.model_dump()}


def is_fused(point: Point, mode: mmu.Mmu) -> bool:
    """Whether the TLBs can't be simulated before the walks: flushes hang on walks, or entries on where frames are."""
    return mmu.traits(mode).fused or point.tlb.coalesce > 1


#: What a room reads of a point, over some VMs.
CONFIGS: dict[str, Callable[[Point, tuple[int, ...]], Any]] = {
    "workload": _workload_config,
    "memory": _memory_config,
    "tlb": lambda point, vms: _tlb_of(point, point.mmu),
    "mmu": lambda point, vms: _mmu_of(point, point.mmu),
    "fused": lambda point, vms: _fused_of(point, point.mmu),
    "cost": lambda point, vms: {"cpu": point.cpu.model_dump()},
    "result": lambda point, vms: {},
    "baseline memory": _baseline_memory_config,
    "baseline tlb": lambda point, vms: _tlb_of(point, native(point)),
    "baseline mmu": lambda point, vms: _mmu_of(point, native(point)),
    "baseline fused": lambda point, vms: _fused_of(point, native(point)),
}
#: Rooms whose config is the same for any VMs.
OF_THE_MACHINE = ("tlb", "mmu", "fused", "cost", "baseline tlb", "baseline mmu", "baseline fused")
