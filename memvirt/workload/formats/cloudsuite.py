"""CloudSuite's traces for ChampSim (``cloudsuite_instr``): as ``champsim``, with more operands and an address space (96 bytes)."""

from __future__ import annotations

from collections.abc import Iterator

from memvirt.workload.batch import Batch, Options
from memvirt.workload.formats.champsim import Layout, fits, read_records
from memvirt.workload.stream import Sample, Stream

#: Bytes 18 to 23 and 90 to 95 are the compiler's, between the fields.
LAYOUT = Layout(96, 3, 7, 11, space=88)
ENDINGS = (".cloudsuite",)


def sniff(sample: Sample) -> float:
    """By its records."""
    return fits(sample, LAYOUT, ENDINGS)


def read(stream: Stream, options: Options) -> Iterator[Batch]:
    """Read a trace."""
    return read_records(stream, options, LAYOUT)
