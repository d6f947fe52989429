"""Raw addresses: little-endian 64-bit byte addresses, all reads, one instruction each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from memvirt.workload.files import Recording, from_addresses, read_numbers

SUFFIX = ".bin"


def read(path: Path, limit: int | None = None) -> Recording:
    """Read a trace."""
    address = read_numbers(path, "<u8", limit, "address", "raw traces are 8-byte little-endian addresses")
    ones = np.ones(address.size, np.int64)
    return from_addresses(address, np.zeros(address.size, bool), ones, {"source": path.name, "format": "raw"})
