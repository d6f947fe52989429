"""Page numbers: little-endian 32-bit, all writes, one instruction each; what kernel tools replay against real memory.

Nothing in such a file says what it is: the ending ``.u32`` must, or ``--format pages``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from memvirt.errors import TraceError
from memvirt.workload.batch import STORE, Batch, Options
from memvirt.workload.numbers import read_numbers
from memvirt.workload.sniff import BY_ENDING
from memvirt.workload.stream import HEAD, Sample, Stream

ENOUGH = 16  #: numbers to tell their order of bytes: all have a lowest byte of 0, as small ones have a highest


def sniff(sample: Sample) -> float:
    """By its ending."""
    return BY_ENDING if sample.ending == ".u32" else 0.0


def read(stream: Stream, options: Options) -> Iterator[Batch]:
    """Read a trace."""
    numbers = np.frombuffer(stream.sample().head[: HEAD // 4 * 4] or b"", "u1")
    rows = numbers[: numbers.size // 4 * 4].reshape(-1, 4)
    if rows.shape[0] >= ENOUGH and not rows[:, 0].any() and (rows[:, 3] != 0).mean() > 0.5:
        raise TraceError(stream.name, "", "looks big-endian: traces of pages are 4-byte little-endian page numbers")
    stream.note("holds page numbers alone: each is a store, and an instruction")
    kind = "ends in mid-number: traces of pages are 4-byte little-endian page numbers"
    return read_numbers(stream, dtype="<u4", shift=12, what=STORE, kind=kind)
