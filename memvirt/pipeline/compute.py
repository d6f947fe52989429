"""Runs a stage: which function of which room, on what, and the digests of what comes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from memvirt import memory, mmu, tlb, workload
from memvirt.cost import CYCLES, latencies, price, price_levels
from memvirt.cost.config import Cpu
from memvirt.digest import content_digest, freeze
from memvirt.mmu import fused
from memvirt.mmu.config import Cache, Mmu
from memvirt.pipeline.layout import graph
from memvirt.pipeline.point import Point
from memvirt.pipeline.rooms import EMPTY, Fields
from memvirt.result.rows import add_walks, as_rows, rows
from memvirt.tlb.config import Tlb
from memvirt.types import Counters, Event, Machine, Segment, Traits, Walks
from memvirt.workload.config import Workload


def _workload_stage(config: Any, inputs: list[Fields]) -> Fields:
    work = Workload.model_validate({**config["workload"], "warmup": 0})
    return {"trace": workload.load(work, config["vm"])}


def _memory_stage(config: Any, inputs: list[Fields]) -> Fields:
    machine = memory.run(memory.MemoryConfig.model_validate(config), [each["trace"] for each in inputs])
    kinds = set(machine.shootdowns["kind"].tolist())
    return {
        **machine._asdict(),
        "evictions": Event.EVICT in kinds or None,
        "switches": Event.SWITCH in kinds or None,
    }


def _tlb_stage(config: Any, inputs: list[Fields]) -> Fields:
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


def _mmu_stage(config: Any, inputs: list[Fields]) -> Fields:
    *traces, machine, walks = inputs
    out = mmu.run(
        Mmu.model_validate(config["mmu"]),
        Cache.model_validate(config["cache"]),
        [each["trace"] for each in traces],
        machine["space"],
        machine["schedule"],
        machine["frames"],
        machine["nodes"],
        walks["offsets"],
        config["pcid"],
        config["vpid"],
    )
    return out._asdict()  # type: ignore[no-any-return]


def _fused_stage(config: Any, inputs: list[Fields]) -> Fields:
    *traces, machine = inputs
    out = fused.run(
        Tlb.model_validate(config["tlb"]),
        Mmu.model_validate(config["mmu"]),
        Cache.model_validate(config["cache"]),
        [each["trace"] for each in traces],
        machine["space"],
        machine["schedule"],
        machine["frames"],
        machine["nodes"],
    )
    return out._asdict()  # type: ignore[no-any-return]


def counts_by_name(inputs: list[Fields]) -> dict[str, np.ndarray]:
    """Gather the counters of several rooms, each (vms, epochs)."""
    counts: dict[str, np.ndarray] = {}
    for each in inputs:
        counts |= _by_name(each["counters"])
    return counts


def _by_name(counters: Counters) -> dict[str, np.ndarray]:
    return {name: counters.values[:, :, place] for place, name in enumerate(counters.names)}


def _cost_stage(config: Any, inputs: list[Fields]) -> Fields:
    cpu, walks = Cpu.model_validate(config["cpu"]), inputs[-1]
    cycles = price(cpu, counts_by_name(inputs), config["dependence"], config["virtual"])
    return {
        "cycles": Counters(CYCLES, np.stack([cycles[name] for name in CYCLES], axis=2)),
        "level_cycles": price_levels(cpu, walks["levels"]),
        "latency": np.stack([latencies(cpu, paths) for paths in walks["paths"]]),
    }


def _result_stage(config: Any, inputs: list[Fields]) -> Fields:
    counted = [each for each in inputs if "counters" in each]
    own, *baselines = inputs[len(counted) :]
    walks = counted[-1]
    results, epochs = rows(counts_by_name(counted), _by_name(own["cycles"]), [_by_name(each["cycles"]) for each in baselines])
    add_walks(results, walks["histogram"], walks["levels"], own["level_cycles"], own["latency"])
    return {"results": results, "epochs": epochs}


ROOMS: dict[str, Callable[[Any, list[Fields]], Fields]] = {
    "workload": _workload_stage,
    "memory": _memory_stage,
    "tlb": _tlb_stage,
    "mmu": _mmu_stage,
    "fused": _fused_stage,
    "cost": _cost_stage,
    "result": _result_stage,
}
#: Rooms whose outcome is told by the stage's key rather than by its content: a trace is what its config and its file's digest
#: say, prices and results cost less to make than to hash.
KNOWN_BY_KEY = ("workload", "cost", "result")
#: What each room's stages hand on.
FIELDS: dict[str, tuple[str, ...]] = {
    "workload": ("trace",),
    "memory": (*Machine._fields, "evictions", "switches"),
    "tlb": Walks._fields,
    "mmu": mmu.MmuOut._fields,
    "fused": mmu.MmuOut._fields,
    "cost": ("cycles", "level_cycles", "latency"),
    "result": ("results", "epochs"),
}


def compute(room: str, config: Any, inputs: list[Fields], name: str = "") -> tuple[Fields, dict[str, str]]:
    """Run a stage.

    Parameters
    ----------
    room : str
    config : JSON-able
    inputs : list of dict
        For each of its needs, the fields that it reads.
    name : str
        Its key.

    Returns
    -------
    fields : dict
        What it hands on.
    digests : dict of str
        Of each field.
    """
    freeze(inputs)
    fields = ROOMS[room](config, inputs)
    freeze(fields)
    if room in KNOWN_BY_KEY:
        return fields, known_digests(room, name)
    return fields, {name: EMPTY if value is None else content_digest(value) for name, value in fields.items()}


def known_digests(room: str, name: str) -> dict[str, str]:
    """Digests of the fields of a stage of a room that is `KNOWN_BY_KEY`."""
    return {field: name for field in FIELDS[room]}


def simulate(point: Point) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Run one point from end to end, in this process.

    Returns
    -------
    rows, epochs : list of dict
        One row a VM, and one a VM and epoch.
    """
    done: list[Fields] = []
    for stage in graph(point):
        inputs = [
            {name: done[each.number][name] for name in fields} for each, fields in zip(stage.inputs, stage.reads, strict=True)
        ]
        done.append(compute(stage.room, stage.config.value, inputs)[0])
    return as_rows(done[-1]["results"]), as_rows(done[-1]["epochs"])
