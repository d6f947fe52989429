"""The detail of a page life as a point of its own: one VM alone that runs it in steady state, on a host with memory enough."""

from __future__ import annotations

from typing import Any

from memvirt import workload
from memvirt.cost.config import Cpu
from memvirt.errors import ConfigError
from memvirt.memory.config import Clock, Contents, Epoch, Overcommit, Reclaim, Vms
from memvirt.memory.numa import Numa
from memvirt.pipeline.point import Point
from memvirt.workload.config import Workload
from memvirt.workload.names import NOTHING

WARMUP = 0.25  #: share of a detail that is left out unless it says: until caches and TLBs hold what they do in steady state

#: A host that never takes a page away.
NO_RECLAIM = {
    "name": "none",
    "replacement": {"name": "fifo"},
    "victims": {"name": "global"},
    **{part: {"name": "none"} for part in ("sharing", "balloon", "compression")},
    "device": {"name": "none", "read_latency": 0, "write_latency": 0, "bandwidth": 1 << 30, "channels": 1},
}

#: Sections of a detail that are the same whatever the point; one object each, since stages are told apart by them.
FIXED: dict[str, Any] = {
    "vms": Vms.model_validate({}),
    "contents": Contents.model_validate({}),
    "clock": Clock.model_validate({}),
    "epoch": Epoch.model_validate({}),
    "numa": Numa.model_validate({"placement": {"name": "first_touch"}, "scheduler": {"name": "packed"}}),
    "overcommit": Overcommit.model_validate({"ratio": 1.0}),
    "reclaim": Reclaim.model_validate(NO_RECLAIM),
}


def has_lives(point: Point) -> bool:
    """Whether a point's VMs have page lives; all have, or none has."""
    return workload.is_life(point.member(0).workload)


def is_joined(point: Point) -> bool:
    """Whether what happens to memory is a thing of its own: of page lives, and where nothing is to be known of translation."""
    return has_lives(point) or any(point.member(vm).workload.detail == NOTHING for vm in range(point.count))


def details(point: Point) -> tuple[list[Workload], list[int]]:
    """The distinct details of a point's VMs, and which of them each VM has; none of either where no VM has one.

    Raises
    ------
    ConfigError
        If only some have one.
    """
    works = [point.member(vm).workload for vm in range(point.count)]
    walked = next((vm for vm, work in enumerate(works) if not workload.is_life(work) and work.detail != NOTHING), None)
    if walked is not None:
        raise ConfigError(
            "workload.detail", "none", f"of others than VM {walked}: nothing is known of the walks of any VM, or of all"
        )
    of_vm = [workload.detail_of(work) for work in works]
    found: list[Workload] = []
    places = []
    for detail in of_vm:
        if detail is not None:
            if detail not in found:
                found.append(detail)
            places.append(found.index(detail))
    if places and len(places) < len(of_vm):
        raise ConfigError("workload.detail", "none", f"of VM {of_vm.index(None)}: all VMs have a detail, or none has")
    return found, places


def cpu_of(point: Point) -> Cpu:
    """The CPU that page lives run on: one latency of the own node's memory, and one of others', if `numa.latencies` says them."""
    told = point.numa.latencies
    if told is None:
        return point.cpu
    cycles = {"memory": told[0][0] * point.cpu.ghz, "memory_remote": told[0][-1] * point.cpu.ghz}
    return point.cpu.model_copy(update=cycles if point.numa.nodes > 1 else {"memory": cycles["memory"]})


def alone(point: Point, detail: Workload) -> Point:
    """The point that a detail is: its walks are those of ``point``, its host is never short of memory."""
    if detail.warmup == 0:
        detail = detail.model_copy(update={"warmup": WARMUP})
    guest = point.guest.model_copy(
        update={"prefault": point.guest.prefault or True, "swap": None, "replacement": "lru", "page_struct": 0}
    )
    own: dict[str, Any] = {name: getattr(point, name) for name in Point.model_fields}
    return Point.model_construct(None, **{**own, **FIXED, "workload": detail, "guest": guest, "cpu": cpu_of(point)})
