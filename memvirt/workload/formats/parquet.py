"""The package's own form (see `memvirt.workload.own`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from memvirt.errors import TraceError
from memvirt.types import Accesses, piece
from memvirt.workload.files import Recording
from memvirt.workload.own import OwnFile
from memvirt.workload.own.header import KEY
from memvirt.workload.sniff import SURE
from memvirt.workload.stream import Sample, Stream

OWN = True


def sniff(sample: Sample) -> float:
    """By Parquet's mark, unless the file says that it is another's table."""
    return SURE if sample.head.startswith(b"PAR1") and not is_table(sample.path) else 0.0


def is_table(path: Path | None) -> bool:
    """Whether a Parquet file is whole, and not memvirt's."""
    try:
        return path is not None and KEY not in (pq.read_metadata(path).metadata or {})
    except (pa.ArrowException, OSError, ValueError):
        return False


def read(stream: Stream, limit: int | None = None) -> Recording:
    """Read a trace, all of it or its first accesses."""
    if stream.path is None:
        raise TraceError(stream.name, "", "is memvirt's own form, which is compressed inside: unpack it, and name the file")
    file = OwnFile(stream.path)
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
    return Recording(file.vpn, columns, file.header.about, file.asid)
