"""The workload room's part: a trace for each VM."""

from __future__ import annotations

from typing import Any

from memvirt import workload
from memvirt.pipeline.point import Point
from memvirt.pipeline.room import Fields, Reading, Room, Vms
from memvirt.workload.config import Workload


def _config(point: Point, vms: Vms) -> dict[str, Any]:
    (vm,) = vms
    work = point.member(vm).workload
    config = work.model_dump()
    config.pop("warmup")  # the memory room's business
    config.pop("dependence")  # and a matter of price
    return {"vm": vm, "workload": config, "content": workload.digest(work)}


def _work(config: Any) -> Workload:
    return Workload.model_validate({**config["workload"], "warmup": 0})


def _run(config: Any, inputs: list[Fields]) -> Fields:
    return {"trace": workload.load(_work(config), config["vm"])}


READING = Reading(("workload", "vms", "contents"), _config, of_vms=True)
ROOM = Room(
    name="workload",
    run=_run,
    config=READING,
    baseline=READING,
    reads={},
    gives=("trace",),
    code=("memvirt.workload",),
    known_by_key=True,  # a trace is what its config and its file's digest say
    lazy=True,
    costs_memory=True,
    length=lambda config: workload.length(_work(config)),
    reads_file=lambda config: bool(config["workload"]["path"]),
    seconds=0.001,
    seconds_an_access=1e-9,
)
