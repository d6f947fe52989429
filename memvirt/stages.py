"""A point as a graph of stages: what each room computes, from which fields of which earlier one.

A stage's key is the hash of its room, of the config that it reads, of the digests of the fields that it
reads and of the code that it uses. Equal keys are computed once; since fields are told apart by content,
stages are shared even where what came before them differs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from memvirt import mmu, workload
from memvirt.digest import canonical, text_digest
from memvirt.jit import code_digest
from memvirt.point import Point

Fields = dict[str, Any]


class Need(NamedTuple):
    """Fields of an earlier stage of the same graph."""

    stage: int
    fields: tuple[str, ...]


class Stage(NamedTuple):
    """One computation.

    Attributes
    ----------
    room : str
    config : JSON-able
        All that it reads of the config, and no more.
    needs : tuple of Need
    moot : tuple of (str, str)
        Pairs of a config key and a field that was read: while the field is empty, the key can't matter.
    """

    room: str
    config: Any
    needs: tuple[Need, ...] = ()
    moot: tuple[tuple[str, str], ...] = ()


#: Which rooms' code a stage's outcome depends on.
CODE = {
    "workload": ("workload",),
    "memory": ("workload", "memory"),
    "tlb": ("workload", "memory", "tlb"),
    "mmu": ("workload", "memory", "tlb", "mmu"),
    "cost": ("cost",),
    "result": ("cost", "rows.py"),
}

EMPTY = "empty"  #: the digest of a field that holds nothing


def key(stage: Stage, digests: list[dict[str, str]]) -> str:
    """Identify a stage, given the digests of the stages that it needs (one mapping a need)."""
    config = stage.config
    read = [[(name, have[name]) for name in need.fields] for need, have in zip(stage.needs, digests, strict=True)]
    for name, field in stage.moot:
        if any(have.get(field) == EMPTY for have in digests):
            config = {**config, name: None}
    return text_digest(stage.room, canonical(config), canonical(read), code_digest(CODE[stage.room]))


def _memory_config(point: Point, vms: list[int], baseline: bool) -> dict[str, Any]:
    """What the memory room reads of a point; of a baseline only what its definition keeps."""
    members = [point.member(vm) for vm in vms]
    traits = mmu.traits("native" if baseline else point.mmu.name)
    alone = baseline or traits.dimensions == 1 or point.host.levels == 0
    guest = point.guest.model_dump()
    host = point.host.model_dump()
    numa = point.numa.model_dump()
    overcommit = point.overcommit.model_dump()
    reclaim = point.reclaim.model_dump()
    if baseline:
        guest["prefault"] = True
        numa.update(nodes=1, cpus_per_node=max(1, *(vm.vcpus for _, vm in members)), page_tables="as_data")
        numa.update(placement={"name": "first_touch"}, scheduler={"name": "packed"})
        overcommit = {"ratio": None, "host_memory": None, "charge_tables": False}
    if alone:  # one dimension: the host's paging isn't there to be read
        host = {}
    enough = overcommit["host_memory"] is None and (overcommit["ratio"] or 1.0) <= 1.0
    if enough and not overcommit["charge_tables"]:  # the host can't run short, so reclaim is never asked
        reclaim = {"name": "none", "replacement": {"name": "fifo"}}
        overcommit["ratio"] = min(overcommit["ratio"] or 1.0, 1.0)
    return {
        "dimensions": 1 if alone else 2,
        "memory": [None if baseline else vm.memory for _, vm in members],
        "vcpus": [vm.vcpus for _, vm in members],
        "warmup": [float(work.warmup) for work, _ in members],
        "guest": guest,
        "host": host,
        "clock": point.clock.model_dump(),
        "epoch": {} if baseline else point.epoch.model_dump(),
        "numa": numa,
        "overcommit": overcommit,
        "reclaim": reclaim,
        "keep_mapped": baseline,
        "seed": point.workload.seed,
    }


def _chain(point: Point, vms: list[int], first: int, baseline: bool) -> list[Stage]:
    """Memory, TLB, MMU and cost over some VMs, whose traces are stages 0 … ; ``first`` is the memory stage's index."""
    traces = tuple(Need(vm, ("trace",)) for vm in vms)
    name = "native" if baseline else point.mmu.name
    traits = mmu.traits(name)
    walker = point.mmu.model_dump()
    if baseline and point.mmu.name != name:
        walker = {"name": name, "pwc": walker["pwc"]}
    return [
        Stage("memory", _memory_config(point, vms, baseline), traces),
        Stage(
            "tlb",
            {"tlb": point.tlb.model_dump(), **{key: value for key, value in traits._asdict().items() if key != "dimensions"}},
            (*traces, Need(first, ("space", "schedule", "shootdowns"))),
            (("host_unmap", "evictions"), ("flush_on_switch", "switches")),
        ),
        Stage(
            "mmu",
            {"mmu": walker, "cache": point.cache.model_dump(), "pcid": point.tlb.pcid, "vpid": point.tlb.vpid},
            (*traces, Need(first, ("space", "schedule", "frames", "nodes")), Need(first + 1, ("offsets",))),
        ),
        Stage(
            "cost",
            {"cpu": point.cpu.model_dump()},
            (Need(first, ("counters",)), Need(first + 1, ("counters",)), Need(first + 2, ("counters",))),
        ),
    ]


def graph(point: Point) -> list[Stage]:
    """Lay a point out as stages, each after those that it needs; the last is its result.

    The traces come first, one a VM; then the point's own chain; then a baseline for each VM, which is what
    `slowdown` divides by.
    """
    count = point.count
    stages = [Stage("workload", {"vm": vm, **_workload(point, vm)}) for vm in range(count)]
    stages += _chain(point, list(range(count)), count, baseline=False)
    baselines = []
    for vm in range(count):
        baselines.append(len(stages) + 3)
        stages += _chain(point, [vm], len(stages), baseline=True)
    needs = [Need(count, ("counters",)), Need(count + 1, ("counters",)), Need(count + 2, ("counters", "histogram"))]
    needs += [Need(count + 3, ("cycles",)), *(Need(cost, ("cycles",)) for cost in baselines)]
    return [*stages, Stage("result", {}, tuple(needs))]


def _workload(point: Point, vm: int) -> dict[str, Any]:
    work = point.member(vm)[0]
    config = work.model_dump()
    config.pop("warmup")  # the memory room's business
    return {"workload": config, "content": workload.digest(work)}
