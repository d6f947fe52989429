"""The parts of prices and results: from counts to rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt import mmu, workload
from memvirt.cost import CYCLES, latencies, price, price_levels, price_pairs
from memvirt.cost.config import Cpu
from memvirt.pipeline.point import Point
from memvirt.pipeline.room import Fields, Reading, Room, Vms
from memvirt.result.derived import baseline_by_epoch
from memvirt.result.rows import add_traffic, add_walks, rows
from memvirt.types import Counters


def by_name(counters: Counters) -> dict[str, np.ndarray]:
    """Counters of a room, each (vms, epochs)."""
    return {name: counters.values[:, :, place] for place, name in enumerate(counters.names)}


def counts_by_name(inputs: list[Fields]) -> dict[str, np.ndarray]:
    """Gather the counters of several rooms, each (vms, epochs)."""
    counts: dict[str, np.ndarray] = {}
    for each in inputs:
        counts |= by_name(each["counters"])
    return counts


def _run_cost(config: Any, inputs: list[Fields]) -> Fields:
    cpu, walks = Cpu.model_validate(config["cpu"]), inputs[-1]
    beyond = None
    if config.get("latencies") is not None:
        beyond = price_pairs(cpu, config["latencies"], walks["traffic"])
        counted = walks["traffic"][:, 1:, 1:].sum(axis=2) * ~np.eye(walks["traffic"].shape[3], dtype=bool)
        times = counted.sum(axis=(2, 3))
        mean = float((beyond.remote_walk[:, 1:] * times).sum() / max(int(times.sum()), 1))
        cpu = cpu.model_copy(update={"memory_remote": cpu.memory + mean})  # of levels and quantiles, which know no pairs
    cycles = price(cpu, counts_by_name(inputs), config["dependence"], config["virtual"], beyond)
    return {
        "cycles": Counters(CYCLES, np.stack([cycles[name] for name in CYCLES], axis=2), ("sum",) * len(CYCLES)),
        "level_cycles": price_levels(cpu, walks["levels"]),
        "latency": np.stack([latencies(cpu, paths) for paths in walks["paths"]]),
    }


def _run_result(config: Any, inputs: list[Fields]) -> Fields:
    counted = [each for each in inputs if "counters" in each]
    walks = counted[-1]
    if "baseline_cycles" in walks:
        own, baseline = walks, walks["baseline_cycles"]
    else:
        own, *baselines = inputs[len(counted) :]
        baseline = baseline_by_epoch(by_name(own["cycles"])["base_cycles"], [by_name(each["cycles"]) for each in baselines])
    how = {name: each for room in counted for name, each in zip(room["counters"].names, room["counters"].epochs, strict=True)}
    results, epochs = rows(counts_by_name(counted), how, by_name(own["cycles"]), baseline)
    add_walks(results, walks["histogram"], walks["levels"], own["level_cycles"], own["latency"])
    add_traffic(results, walks.get("traffic", np.zeros((0, 0, 0, 0, 0), np.int64)))
    return {"results": results, "epochs": epochs}


def _prices(point: Point, vms: Vms, virtual: bool) -> dict[str, Any]:
    dependence = [workload.dependence(point.member(vm).workload) for vm in vms]
    if len({*dependence}) == 1:  # as many VMs as there may be, all with one price
        dependence = dependence[:1]
    cpu, latencies_ns = point.cpu, point.numa.latencies
    if latencies_ns is None:
        return {"cpu": cpu.model_dump(), "dependence": dependence, "virtual": virtual}
    local = {**cpu.model_dump(), "memory": latencies_ns[0][0] * cpu.ghz}
    return {"cpu": local, "dependence": dependence, "virtual": virtual, "latencies": latencies_ns if point.numa.nodes > 1 else None}


COST = Room(
    name="cost",
    run=_run_cost,
    config=Reading(
        ("cpu", "workload", "vms", "contents", "mmu", "numa"),
        lambda point, vms: _prices(point, vms, mmu.traits(point.mmu).dimensions == 2),
        of_vms=True,
    ),
    baseline=Reading(
        ("cpu", "workload", "vms", "contents", "numa"),
        lambda point, vms: {**_prices(point, vms, False), "latencies": None},
        of_vms=True,
    ),
    reads={
        "memory": ("counters",),
        "tlb": ("counters",),
        "mmu": ("counters", "levels", "paths", "traffic"),
        "fused": ("counters", "levels", "paths", "traffic"),
    },
    gives=("cycles", "level_cycles", "latency"),
    code=("memvirt.cost",),
    known_by_key=True,  # it costs less to make than to hash
    light=True,
    by_value=("cycles",),
    seconds=0.0003,
)

NOTHING = Reading((), lambda point, vms: {})
#: Of the prices it reads those of the point first, then those of each VM's baseline; of page lives all that there is.
RESULT = Room(
    name="result",
    run=_run_result,
    config=NOTHING,
    baseline=NOTHING,
    reads={
        "memory": ("counters",),
        "tlb": ("counters",),
        "mmu": ("counters", "histogram", "levels", "traffic"),
        "fused": ("counters", "histogram", "levels", "traffic"),
        "cost": ("cycles", "level_cycles", "latency"),
        "join": ("counters", "cycles", "baseline_cycles", "histogram", "levels", "level_cycles", "latency"),
    },
    gives=("results", "epochs"),
    code=("memvirt.result.rows",),
    known_by_key=True,
    light=True,
    gives_rows=True,
    seconds=0.0006,
)
