"""Raw addresses: little-endian 64-bit byte addresses, all reads, one instruction each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from memvirt.errors import TraceError
from memvirt.workload.files import Recording, from_addresses

SUFFIX = ".bin"


def read(path: Path, limit: int | None = None) -> Recording:
    """Read a trace."""
    size = path.stat().st_size
    if size % 8:
        raise TraceError(str(path), f"byte {size // 8 * 8}", "ends in mid-address: raw traces are 8-byte little-endian addresses")
    address = np.fromfile(path, "<u8", count=-1 if limit is None else limit)
    ones = np.ones(address.size, np.int64)
    return from_addresses(address, np.zeros(address.size, bool), ones, {"source": path.name, "format": "raw"})
