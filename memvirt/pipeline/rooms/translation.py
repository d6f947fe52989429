"""The parts of TLBs and MMU, which are two rooms unless one can't be simulated before the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from memvirt import mmu, tlb
from memvirt.config import Choice
from memvirt.memory.config import make_policy
from memvirt.memory.placement._turns import Turns
from memvirt.mmu import fused
from memvirt.mmu.config import Cache, Mmu
from memvirt.pipeline.point import Point
from memvirt.pipeline.room import Fields, Reading, Room
from memvirt.policy import load
from memvirt.tlb.config import Tlb
from memvirt.types import Mapped, Segment, Traits, Walks


def own_mode(point: Point) -> Mmu:
    """The translation that a point asks for."""
    return point.mmu


def native(point: Point) -> Mmu:
    """The translation that `slowdown` compares with: native, with the same walk caches and bits."""
    return Mmu(name="native", **{name: getattr(point.mmu, name) for name in ("pwc", "nested_tlb", "ad_bits")})


def is_fused(point: Point, mode: Mmu) -> bool:
    """Whether the TLBs can't be simulated before the walks: flushes hang on walks, or entries on where frames are."""
    return mmu.traits(mode).fused or point.tlb.coalesce > 1


def _readings(sections: tuple[str, ...], make: Callable[[Point, Mmu], Any]) -> tuple[Reading, Reading]:
    """Of a point's own mode, and of its baseline's."""
    return (
        Reading(sections, lambda point, vms: make(point, own_mode(point))),
        Reading(sections, lambda point, vms: make(point, native(point))),
    )


def _tlb_config(point: Point, mode: Mmu) -> dict[str, Any]:
    traits = mmu.traits(mode)._asdict()
    for name in ("dimensions", "fused"):
        traits.pop(name)
    if traits["bypass"] is not None:
        traits["bypass"] = traits["bypass"]._asdict()
    return {"tlb": point.tlb.model_dump(), **traits}


def _added(point: Point, mode: Mmu) -> dict[str, Any]:
    """Where tables go that a mode adds; nothing of a mode that has none, or where there is one node."""
    numa = point.numa
    if numa.nodes == 1 or not hasattr(load("mmu.mode", mode.name, "mmu"), "frames"):
        return {}
    return {"added": {"tables": numa.shadow_tables, "nodes": numa.nodes, "placement": numa.placement.model_dump()}}


def _turns(config: Any) -> Turns | None:
    """State of what `_added` says."""
    if "added" not in config:
        return None
    said = config["added"]
    data = make_policy("memory.placement", Choice(**said["placement"]), "numa.placement", said["nodes"])
    return mmu.turns_of(said["tables"], said["nodes"], data)


def _mmu_config(point: Point, mode: Mmu) -> dict[str, Any]:
    tagged = {"pcid": point.tlb.pcid, "vpid": point.tlb.vpid}
    return {"mmu": mode.model_dump(), "cache": point.cache.model_dump(), **tagged, **_added(point, mode)}


def _fused_config(point: Point, mode: Mmu) -> dict[str, Any]:
    return {"tlb": point.tlb.model_dump(), "mmu": mode.model_dump(), "cache": point.cache.model_dump(), **_added(point, mode)}


def _run_tlb(config: Any, inputs: list[Fields]) -> Fields:
    *traces, machine = inputs
    values = {name: config[name] for name in Traits._fields if config.get(name) is not None}
    if "bypass" in values:
        values["bypass"] = Segment(**values["bypass"])
    walks = tlb.run(
        Tlb.model_validate(config["tlb"]),
        Traits(**values),
        [each["trace"] for each in traces],
        machine["space"],
        machine["schedule"],
        machine["shootdowns"],
    )
    return walks._asdict()


def _run_mmu(config: Any, inputs: list[Fields]) -> Fields:
    *traces, machine, walks = inputs
    out = mmu.run(
        Mmu.model_validate(config["mmu"]),
        Cache.model_validate(config["cache"]),
        [each["trace"] for each in traces],
        Mapped(**{name: machine[name] for name in Mapped._fields}),
        walks["offsets"],
        config["pcid"],
        config["vpid"],
        added=_turns(config),
    )
    return out._asdict()  # type: ignore[no-any-return]


def _run_fused(config: Any, inputs: list[Fields]) -> Fields:
    *traces, machine = inputs
    out = fused.run(
        Tlb.model_validate(config["tlb"]),
        Mmu.model_validate(config["mmu"]),
        Cache.model_validate(config["cache"]),
        [each["trace"] for each in traces],
        Mapped(**{name: machine[name] for name in Mapped._fields}),
        added=_turns(config),
    )
    return out._asdict()  # type: ignore[no-any-return]


OWN, BASELINE = _readings(("tlb", "mmu"), _tlb_config)
TLB = Room(
    name="tlb",
    run=_run_tlb,
    config=OWN,
    baseline=BASELINE,
    reads={"workload": ("trace",), "memory": ("space", "schedule", "shootdowns", "evictions", "switches")},
    gives=Walks._fields,
    code=("memvirt.tlb",),
    fused=False,
    moot=(("host_unmap", "evictions"), ("flush_on_switch", "switches")),
    by_value=("counters",),
    seconds=0.001,
    seconds_an_access=6e-9,
)

OWN, BASELINE = _readings(("mmu", "cache", "tlb", "numa"), _mmu_config)
MMU = Room(
    name="mmu",
    run=_run_mmu,
    config=OWN,
    baseline=BASELINE,
    reads={"workload": ("trace",), "memory": Mapped._fields, "tlb": ("offsets",)},
    gives=mmu.MmuOut._fields,
    code=("memvirt.mmu",),
    fused=False,
    by_value=("counters", "histogram"),
    seconds=0.002,
    seconds_an_access=12e-9,
)

OWN, BASELINE = _readings(("tlb", "mmu", "cache", "numa"), _fused_config)
FUSED = Room(
    name="fused",
    run=_run_fused,
    config=OWN,
    baseline=BASELINE,
    reads={"workload": ("trace",), "memory": Mapped._fields},
    gives=mmu.MmuOut._fields,
    code=("memvirt.mmu.fused",),
    fused=True,
    by_value=("counters", "histogram"),
    seconds=0.003,
    seconds_an_access=40e-9,
)
