"""Page numbers: little-endian 32-bit, all writes, one instruction each; what kernel tools replay against real memory.

Nothing in such a file says what it is: the ending ``.u32`` must, or ``--format pages``.
"""

from __future__ import annotations

from collections.abc import Iterator

from memvirt.workload.batch import STORE, Batch, Options
from memvirt.workload.numbers import read_numbers
from memvirt.workload.sniff import BY_ENDING
from memvirt.workload.stream import Sample, Stream


def sniff(sample: Sample) -> float:
    """By its ending."""
    return BY_ENDING if sample.ending == ".u32" else 0.0


def read(stream: Stream, options: Options) -> Iterator[Batch]:
    """Read a trace."""
    stream.note("holds page numbers alone: each is a store, and an instruction")
    kind = "ends in mid-number: traces of pages are 4-byte little-endian page numbers"
    return read_numbers(stream, dtype="<u4", shift=12, what=STORE, kind=kind)
