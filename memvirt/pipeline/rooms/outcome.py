"""The parts of prices and results: from counts to rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt import mmu, workload
from memvirt.cost import CYCLES, QUEUED, Beyond, latencies, price, price_levels, price_pairs
from memvirt.cost.config import Cpu
from memvirt.cost.queueing import Machine, waits
from memvirt.counters import names_of
from memvirt.pipeline.point import Point
from memvirt.pipeline.room import Fields, Reading, Room, Vms
from memvirt.result.derived import baseline_by_epoch
from memvirt.result.rows import add_loads, add_traffic, add_walks, rows
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


def _on_average(cpu: Cpu, beyond: Beyond, waiting: np.ndarray, traffic: np.ndarray) -> Cpu:
    """Prices of memory at the mean of a walk's references, for levels and quantiles, which know neither pairs nor epochs."""
    own = np.eye(traffic.shape[3], dtype=bool)
    counted = traffic[:, 1:, 1:].sum(axis=2)
    away, near = (counted * ~own).sum(axis=(2, 3)), (counted * own).sum(axis=0)
    mean = float((beyond.remote_walk[:, 1:] * away).sum() / max(int(away.sum()), 1))
    waited = float((waiting[1:] * near).sum() / max(int(near.sum()), 1)) * cpu.ghz
    return cpu.model_copy(update={"memory": cpu.memory + waited, "memory_remote": cpu.memory + mean})


def _traffic(counts: dict[str, np.ndarray], walks: Fields) -> np.ndarray:
    """References to memory by VM, epoch, kind (data first) and node pair, which aren't counted where there is one node."""
    if walks["traffic"].size:
        return np.asarray(walks["traffic"])
    one = [counts.get(f"{kind}_refs_in_memory", np.zeros_like(counts["accesses"])) for kind in ("data", "walk")]
    return np.stack(one, axis=2)[:, :, :, None, None]


def _run_cost(config: Any, inputs: list[Fields]) -> Fields:
    cpu, walks, counts = Cpu.model_validate(config["cpu"]), inputs[-1], counts_by_name(inputs)
    names, averaged, loads = CYCLES, cpu, np.zeros((0, 0, 0))

    def cycles_of(beyond: Beyond | None) -> dict[str, np.ndarray]:
        return price(cpu, counts, config["dependence"], config["virtual"], beyond)

    if config.get("latencies") is None:
        cycles = cycles_of(None)
    else:
        traffic, idle = _traffic(counts, walks), np.array(config["latencies"], np.float64)
        waiting = np.zeros((traffic.shape[1], *idle.shape))
        if (queues := config.get("queues")) is not None:
            machine = Machine(np.array(queues["bandwidths"]), np.array(queues["background"]), *queues["of"])
            vcpus, pairs = np.array(queues["vcpus"]), traffic.sum(axis=2)
            waiting, loads = waits(machine, pairs, vcpus, lambda more: cycles_of(price_pairs(cpu, idle + more, traffic))["cycles"])
        beyond = price_pairs(cpu, idle + waiting, traffic)
        cycles, averaged = cycles_of(beyond), _on_average(cpu, beyond, waiting, traffic)
        if queues is not None:
            names = (*CYCLES, *names_of(QUEUED))
            cycles["queue_cycles"] = (pairs * waiting).sum(axis=(2, 3)) * cpu.ghz
    return {
        "cycles": Counters(names, np.stack([cycles[name] for name in names], axis=2), ("sum",) * len(names)),
        "level_cycles": price_levels(averaged, walks["levels"]),
        "latency": np.stack([latencies(averaged, paths) for paths in walks["paths"]]),
        "loads": loads,
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
    if own.get("loads", np.zeros(0)).size:
        add_loads(results, own["loads"])
    return {"results": results, "epochs": epochs}


def _prices(point: Point, vms: Vms, virtual: bool) -> dict[str, Any]:
    dependence = [workload.dependence(point.member(vm).workload) for vm in vms]
    if len({*dependence}) == 1:  # as many VMs as there may be, all with one price
        dependence = dependence[:1]
    cpu, numa, latencies_ns = point.cpu, point.numa, point.numa.latencies
    said: dict[str, Any] = {"cpu": cpu.model_dump(), "dependence": dependence, "virtual": virtual}
    if latencies_ns is not None:
        said["cpu"]["memory"] = latencies_ns[0][0] * cpu.ghz
        said["latencies"] = latencies_ns if numa.nodes > 1 else None
    if numa.bandwidths is not None:
        by_pair = [[cpu.memory if node == home else cpu.memory_remote for home in range(numa.nodes)] for node in range(numa.nodes)]
        said["latencies"] = latencies_ns or [[cycles / cpu.ghz for cycles in row] for row in by_pair]
        said["queues"] = {
            "bandwidths": [[each * 1e9 for each in row] for row in numa.bandwidths],
            "background": [each * 1e9 for each in numa.background or [0.0] * numa.nodes],
            "of": (numa.banks, cpu.ghz, numa.cpu_nodes * numa.cpus_per_node),
            "vcpus": [point.member(vm).vms.vcpus for vm in vms],
        }
    return said


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
        lambda point, vms: {**_prices(point, vms, False), "latencies": None, "queues": None},
        of_vms=True,
    ),
    reads={
        "memory": ("counters",),
        "tlb": ("counters",),
        "mmu": ("counters", "levels", "paths", "traffic"),
        "fused": ("counters", "levels", "paths", "traffic"),
    },
    gives=("cycles", "level_cycles", "latency", "loads"),
    code=("memvirt.cost", "memvirt.cost.queueing"),
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
        "cost": ("cycles", "level_cycles", "latency", "loads"),
        "join": ("counters", "cycles", "baseline_cycles", "histogram", "levels", "level_cycles", "latency"),
    },
    gives=("results", "epochs"),
    code=("memvirt.result.rows",),
    known_by_key=True,
    light=True,
    gives_rows=True,
    seconds=0.0006,
)
