"""A room is one record: what it says of sections, fields and its place in the flow is what layout and stages make of it."""

from __future__ import annotations

import pytest

from memvirt.pipeline.compute import compute
from memvirt.pipeline.layout import graph
from memvirt.pipeline.point import Point
from memvirt.pipeline.room import Room
from memvirt.pipeline.rooms import ROOMS
from tests.support import point

SMALL = ["workload=zipf", "workload.accesses=3000", "workload.footprint=1MiB"]
OTHER = [
    "workload=uniform", "workload.accesses=6000", "vms.count=2", "vms.vcpus=2", "guest.page_size=2M", "host.page_size=2M",
    "clock.minor_fault=1", "epoch.accesses=7", "numa=two_socket", "overcommit.ratio=3", "reclaim=none", "tlb=zen4", "mmu=shadow",
    "cache=none", "cpu=zen4",
]  # fmt: skip


@pytest.mark.parametrize("room", ROOMS.values(), ids=list(ROOMS))
def test_a_room_reads_only_its_sections(room: Room) -> None:
    """Another section changes no config, neither of the point's own stages nor of its baseline's."""
    base, other = point(*SMALL, "mmu=nested", "overcommit.ratio=1.5"), point(*OTHER)
    for reading in (room.config, room.baseline):
        mixed = {name: getattr(base if name in reading.sections else other, name) for name in Point.model_fields}
        vms = (0,) if room.length else (0, 1)
        assert reading.make(Point.model_construct(**mixed), vms) == reading.make(base, vms)
        if not reading.of_vms:
            assert reading.make(base, (0,)) == reading.make(base, (0, 1))


def test_fields_flow_one_way() -> None:
    """A room reads what earlier ones give; a key is moot by a field that is read."""
    before: dict[str, Room] = {}
    for name, room in ROOMS.items():
        assert name == room.name
        for other, fields in room.reads.items():
            assert set(fields) <= set(before[other].gives), (name, other)
        assert {field for _, field in room.moot} <= {field for fields in room.reads.values() for field in fields}
        assert set(room.by_value) <= set(room.gives)
        before[name] = room


@pytest.mark.parametrize(("mode", "rooms"), [("nested", ["memory", "tlb", "mmu", "cost"]), ("agile", ["memory", "fused", "cost"])])
def test_layout(mode: str, rooms: list[str]) -> None:
    """A trace, the point's chain, its baseline's, the result, whose inputs are the counts, then the cycles of both."""
    stages = graph(point(*SMALL, f"mmu={mode}"))
    alone = ["memory", "tlb", "mmu", "cost"]
    assert [stage.room for stage in stages] == ["workload", *rooms, *alone, "result"]
    assert [each.room for each in stages[-1].inputs] == [*rooms, "cost"]
    assert [each.number for each in stages[-1].inputs] == [*range(1, len(rooms) + 1), len(stages) - 2]
    for stage in stages:
        assert len(stage.reads) == len(stage.inputs)


def test_rooms_give_what_they_say() -> None:
    """No field less, and none more."""
    done: list[dict[str, object]] = []
    for stage in graph(point(*SMALL, "mmu=native")):
        inputs = [
            {name: done[each.number][name] for name in fields} for each, fields in zip(stage.inputs, stage.reads, strict=True)
        ]
        fields, digests = compute(stage.room, stage.config.value, inputs, str(stage.number))
        assert set(fields) == set(digests) == set(ROOMS[stage.room].gives)
        done.append(fields)
