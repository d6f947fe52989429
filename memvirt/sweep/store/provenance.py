"""Which code a row was computed by."""

from __future__ import annotations

from memvirt.jit import code_digest
from memvirt.pipeline.rooms import ROOMS


def all_code() -> str:
    """Digest of all code that a row can depend on."""
    return code_digest(("pipeline", *sorted({part for room in ROOMS.values() for part in room.code})))
