"""Raw addresses: little-endian 64-bit byte addresses, all reads, one instruction each."""

from __future__ import annotations

from pathlib import Path

from memvirt.workload.files import Recording, read_numbers

SUFFIX = ".bin"


def read(path: Path, limit: int | None = None) -> Recording:
    """Read a trace."""
    kind = "raw traces are 8-byte little-endian addresses"
    return read_numbers(path, limit, "raw", dtype="<u8", shift=0, written=False, what="address", kind=kind)
