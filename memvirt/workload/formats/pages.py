"""Page numbers: little-endian 32-bit, all writes, one instruction each; what kernel tools replay against real memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from memvirt.errors import TraceError
from memvirt.workload.files import Recording, from_addresses

SUFFIX = ".u32"


def read(path: Path, limit: int | None = None) -> Recording:
    """Read a trace."""
    size = path.stat().st_size
    if size % 4:
        raise TraceError(
            str(path), f"byte {size // 4 * 4}", "ends in mid-number: traces of pages are 4-byte little-endian page numbers"
        )
    page = np.fromfile(path, "<u4", count=-1 if limit is None else limit)
    ones = np.ones(page.size, np.int64)
    return from_addresses(page.astype(np.uint64) << np.uint64(12), ones, ones, {"source": path.name, "format": "pages"})
