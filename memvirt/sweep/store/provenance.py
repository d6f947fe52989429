"""Which code a row was computed by."""

from __future__ import annotations

from functools import cache

from memvirt.digest import text_digest
from memvirt.pipeline.rooms import CODE, room_code


@cache
def all_code() -> str:
    """Digest of all code that a row can depend on."""
    return text_digest(*(f"{room}:{room_code(room)}" for room in sorted(CODE)))
