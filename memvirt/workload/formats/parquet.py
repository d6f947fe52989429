"""The package's own form (see `memvirt.workload.own`)."""

from __future__ import annotations

import numpy as np

from memvirt.errors import TraceError
from memvirt.types import Accesses
from memvirt.workload.files import Recording
from memvirt.workload.own import OwnFile
from memvirt.workload.sniff import SURE
from memvirt.workload.source import piece
from memvirt.workload.stream import Sample, Stream

OWN = True


def sniff(sample: Sample) -> float:
    """By Parquet's mark, which tables of others have too: they are told apart when the schema is read."""
    return SURE if sample.head.startswith(b"PAR1") else 0.0


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
    return Recording(file.vpn, columns, file.header.about)
