"""Page numbers: little-endian 32-bit, all writes, one instruction each; what kernel tools replay against real memory."""

from __future__ import annotations

from pathlib import Path

from memvirt.workload.files import Recording, read_numbers

SUFFIX = ".u32"


def read(path: Path, limit: int | None = None) -> Recording:
    """Read a trace."""
    kind = "traces of pages are 4-byte little-endian page numbers"
    return read_numbers(path, limit, "pages", dtype="<u4", shift=12, written=True, what="number", kind=kind)
