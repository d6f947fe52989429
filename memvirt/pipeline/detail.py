"""The detail of a page life as a point of its own: one VM alone that runs it in steady state, on a host with memory enough."""

from __future__ import annotations

from memvirt import workload
from memvirt.memory.config import Clock, Contents, Epoch, Numa, Overcommit, Reclaim, Vms
from memvirt.pipeline.point import Point
from memvirt.workload.config import Workload

NOTHING = "none"  #: the detail of lives of which translation isn't simulated
WARMUP = 0.25  #: share of a detail that is left out unless it says: until caches and TLBs hold what they do in steady state

#: A host that never takes a page away.
NO_RECLAIM = {
    "name": "none",
    "replacement": {"name": "fifo"},
    **{part: {"name": "none"} for part in ("sharing", "balloon", "compression")},
    "device": {"name": "none", "read_latency": 0, "write_latency": 0, "bandwidth": 1 << 30, "channels": 1},
}

#: Sections of a detail that are the same whatever the point; one object each, since stages are told apart by them.
FIXED = {
    "vms": Vms(),
    "contents": Contents(),
    "clock": Clock(),
    "epoch": Epoch(accesses=None, time=None),
    "numa": Numa.model_validate({"placement": {"name": "first_touch"}, "scheduler": {"name": "packed"}}),
    "overcommit": Overcommit(ratio=1.0),
    "reclaim": Reclaim.model_validate(NO_RECLAIM),
}


def has_lives(point: Point) -> bool:
    """Whether a point's VMs have page lives; all have, or none has."""
    return workload.is_life(point.member(0).workload)


def details(point: Point) -> tuple[list[Workload], list[int]]:
    """The distinct details of a point's VMs, and which of them each VM has; none of either where no VM has one."""
    found: list[Workload] = []
    places = []
    if all(point.member(vm).workload.detail == NOTHING for vm in range(point.count)):
        return [], []
    for vm in range(point.count):
        detail = workload.detail_of(point.member(vm).workload)
        if detail not in found:
            found.append(detail)
        places.append(found.index(detail))
    return found, places


def alone(point: Point, detail: Workload) -> Point:
    """The point that a detail is: its walks are those of ``point``, its host is never short of memory."""
    if detail.warmup == 0:
        detail = detail.model_copy(update={"warmup": WARMUP})
    guest = point.guest.model_copy(
        update={"prefault": point.guest.prefault or True, "swap": None, "replacement": "lru", "page_struct": 0}
    )
    own = {name: getattr(point, name) for name in Point.model_fields}
    return Point.model_construct(**{**own, **FIXED, "workload": detail, "guest": guest})
