"""The rooms, in the order in which accesses go through them: one record each."""

from __future__ import annotations

from functools import cache

from memvirt.code import code_digest, own_digest
from memvirt.digest import text_digest
from memvirt.pipeline.rooms import memory, workload
from memvirt.pipeline.rooms.join import JOIN
from memvirt.pipeline.rooms.outcome import COST, RESULT
from memvirt.pipeline.rooms.translation import FUSED, MMU, TLB

#: By name.
ROOMS = {room.name: room for room in (workload.ROOM, memory.ROOM, TLB, MMU, FUSED, COST, JOIN, RESULT)}
#: Fields that travel by value.
BY_VALUE = frozenset(name for room in ROOMS.values() for name in room.by_value)
#: What calls the rooms: these import every room, so only their own code counts.
CALLERS = (
    "memvirt.pipeline.compute",
    "memvirt.pipeline.detail",
    "memvirt.pipeline.layout",
    "memvirt.pipeline.room",
    "memvirt.pipeline.rooms",
)


@cache
def room_code(name: str) -> str:
    """Digest of all code that a room's stages can depend on; of the file that has its record, too, only its own code counts."""
    room = ROOMS[name]
    return text_digest(code_digest(*room.code), own_digest(*CALLERS, room.run.__module__))
