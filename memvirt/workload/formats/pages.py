"""Page numbers: little-endian 32-bit, all writes, one instruction each; what kernel tools replay against real memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from memvirt.workload.files import Recording, from_addresses, read_numbers

SUFFIX = ".u32"


def read(path: Path, limit: int | None = None) -> Recording:
    """Read a trace."""
    page = read_numbers(path, "<u4", limit, "number", "traces of pages are 4-byte little-endian page numbers")
    ones = np.ones(page.size, np.int64)
    return from_addresses(page.astype(np.uint64) << np.uint64(12), ones, ones, {"source": path.name, "format": "pages"})
