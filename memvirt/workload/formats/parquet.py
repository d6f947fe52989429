"""The package's own form (see `memvirt.workload.own`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from memvirt.types import Accesses
from memvirt.workload.files import Recording
from memvirt.workload.own import OwnFile
from memvirt.workload.source import piece

SUFFIX = ".parquet"


def read(path: Path, limit: int | None = None) -> Recording:
    """Read a trace, all of it or its first accesses."""
    file = OwnFile(path)
    count = file.accesses if limit is None else min(limit, file.accesses)
    columns = Accesses(np.empty(count, np.uint32), np.empty(count, np.uint8), np.empty(count, np.uint8))
    first = 0
    for chunk in file.each_chunk():
        last = min(first + chunk.page.size, count)
        part = piece(chunk, 0, last - first)
        columns.page[first:last], columns.line[first:last], columns.gap[first:last] = part
        first = last
        if first == count:
            break
    return Recording(file.vpn, columns, file.header.about)
