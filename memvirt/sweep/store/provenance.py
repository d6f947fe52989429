"""Which code a row was computed by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from memvirt.jit import code_digest
from memvirt.pipeline.rooms import CODE

LAYING_OUT = ("pipeline/compute.py", "pipeline/layout.py", "pipeline/rooms.py")  #: what every row's way through the rooms hangs on


def code_of(rooms: Mapping[str, Iterable[str]]) -> str:
    """Digest of all code that some rooms' outcomes can depend on."""
    return code_digest((*LAYING_OUT, *sorted({part for parts in rooms.values() for part in parts})))


def all_code() -> str:
    """Digest of all code that a row can depend on."""
    return code_of(CODE)
