"""The rooms, in the order in which accesses go through them: one record each."""

from __future__ import annotations

from memvirt.pipeline.rooms import memory, workload
from memvirt.pipeline.rooms.outcome import COST, RESULT
from memvirt.pipeline.rooms.translation import FUSED, MMU, TLB

#: By name.
ROOMS = {room.name: room for room in (workload.ROOM, memory.ROOM, TLB, MMU, FUSED, COST, RESULT)}
#: Fields that travel by value.
BY_VALUE = frozenset(name for room in ROOMS.values() for name in room.by_value)
