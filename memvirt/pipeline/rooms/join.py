"""The part of page lives: what life and detail of each VM come to together, priced."""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt import mmu, workload
from memvirt.cost import CYCLES, latencies, price, price_levels
from memvirt.cost.config import Cpu
from memvirt.pipeline.detail import cpu_of, details, has_lives, is_joined
from memvirt.pipeline.point import Point
from memvirt.pipeline.room import Fields, Reading, Room, Vms
from memvirt.pipeline.rooms.outcome import by_name, counts_by_name
from memvirt.policy import load
from memvirt.result.join import TABLES, Detail, join, unseen
from memvirt.types import Counters


def _config(point: Point, vms: Vms) -> dict[str, Any]:
    if not is_joined(point):
        return {}
    found, places = details(point)
    return {
        "details": places,
        "dependence": [workload.dependence(found[place]) for place in places] or [None],
        "cpu": cpu_of(point).model_dump(),
        "virtual": mmu.traits(point.mmu).dimensions == 2,
        "exits": mmu.fault_exits(point.mmu),
        "scale": point.vms.scale if has_lives(point) else None,
        "tables_remote": _tables_follow_data(point),
        "tables": _tables_read(point),
    }


def _tables_follow_data(point: Point) -> bool:
    """Whether tables are as often on another node as the data are; under first touch, local ones are."""
    numa, dimensions = point.numa, mmu.traits(point.mmu).dimensions
    placed = {numa.of_processes(dimensions), *([numa.of_host(dimensions)] if dimensions == 2 else [])}
    return placed <= {"as_data", "local" if numa.placement.name == "first_touch" else numa.placement.name}


def _tables_read(point: Point) -> list[str] | None:
    """Counters of how often what walks read is remote, where vCPUs or pages move.

    Those that a mode adds lie where the host's would: on the node whose CPU needed them, for good.
    """
    if not point.numa.moves:
        return None
    guest, host = TABLES
    return [host if hasattr(load("mmu.mode", point.mmu.name), "frames") else guest, host]


def _details(inputs: list[Fields], count: int) -> list[Detail]:
    """Take each detail's parts out of the inputs, of which those of each room stand together, the details in one order."""
    rooms = [inputs[first : first + count] for first in range(0, len(inputs), count)]
    *counted, baselines = rooms
    found = []
    for place in range(count):
        walks = counted[-1][place]
        counts = {name: int(each[0, 1:].sum()) for name, each in counts_by_name([room[place] for room in counted]).items()}
        baseline = float(by_name(baselines[place]["cycles"])["cycles"][0, 1:].sum())
        found.append(Detail(counts, baseline, walks["histogram"][0], walks["levels"][0], walks["paths"][0]))
    return found


def _run(config: Any, inputs: list[Fields]) -> Fields:
    life, *others = inputs
    cpu, places = Cpu.model_validate(config["cpu"]), config["details"]
    counters = life["counters"]
    if places:
        found = _details(others, max(places) + 1)
        of_vm = [found[place] for place in places]
    else:
        of_vm = [unseen(cpu.cycles_per_instruction)] * counters.values.shape[0]
    joined = join(by_name(counters), of_vm, cpu.ghz, config["scale"], config["exits"], config["tables_remote"], config["tables"])
    cycles = price(cpu, joined.counts, config["dependence"], config["virtual"])
    names = tuple(joined.counts)
    how = dict(zip(counters.names, counters.epochs, strict=True))
    return {
        "counters": Counters(names, np.stack(list(joined.counts.values()), axis=2), tuple(how.get(name, "sum") for name in names)),
        "cycles": Counters(CYCLES, np.stack([cycles[name] for name in CYCLES], axis=2), ("sum",) * len(CYCLES)),
        "baseline_cycles": joined.baseline_cycles,
        "histogram": joined.histogram,
        "levels": joined.levels,
        "level_cycles": price_levels(cpu, joined.levels),
        "latency": np.stack([latencies(cpu, each.paths) for each in of_vm]),
    }


READING = Reading(("workload", "vms", "contents", "numa", "mmu", "cpu"), _config, of_vms=True)
#: Of the memory rooms it reads the life's first, then the details'; of prices the details' baselines.
JOIN = Room(
    name="join",
    run=_run,
    config=READING,
    baseline=READING,
    reads={
        "memory": ("counters",),
        "tlb": ("counters",),
        "mmu": ("counters", "histogram", "levels", "paths"),
        "fused": ("counters", "histogram", "levels", "paths"),
        "cost": ("cycles",),
    },
    gives=("counters", "cycles", "baseline_cycles", "histogram", "levels", "level_cycles", "latency"),
    code=("memvirt.result.join", "memvirt.cost"),
    of_lives=True,
    known_by_key=True,
    light=True,
    by_value=("counters", "cycles", "baseline_cycles", "histogram", "levels", "level_cycles", "latency"),
    seconds=0.001,
)
