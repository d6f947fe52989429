"""The workload room's part: a trace for each VM."""

from __future__ import annotations

from typing import Any

from memvirt import workload
from memvirt.digest import canonical, text_digest
from memvirt.pipeline.point import Point
from memvirt.pipeline.room import Fields, Reading, Room, Vms
from memvirt.workload.config import Workload


def _config(point: Point, vms: Vms) -> dict[str, Any]:
    (vm,) = vms
    work = point.member(vm).workload
    config = work.model_dump()
    config.pop("warmup")  # the memory room's business
    config.pop("dependence")  # and a matter of price
    config.pop("detail")  # has stages of its own
    life = {}
    if workload.is_life(work):
        member = point.member(vm)
        alike = member.contents.common > 0  # VMs of one image must keep the same pages of it
        salt = [point.vms.scale_seed] if alike else [point.vms.scale_seed, vm]
        life = {"scale": point.vms.scale, "vcpus": member.vms.vcpus, "salt": int(text_digest(canonical(salt))[:8], 16)}
    return {"vm": vm, "workload": config, "content": workload.digest(work), **life}


def _work(config: Any) -> Workload:
    return Workload.model_validate({**config["workload"], "warmup": 0})


def _run(config: Any, inputs: list[Fields]) -> Fields:
    asked = {name: config[name] for name in ("scale", "vcpus", "salt") if name in config}
    return {"trace": workload.load(_work(config), config["vm"], **asked)}


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
    length=lambda config: workload.length(_work(config), config.get("scale", 1.0)),
    reads_file=lambda config: bool(config["workload"]["path"]),
    seconds=0.001,
    seconds_an_access=1e-9,
)
