"""Ramulator's traces: of a CPU (instructions before, address read, address written back: decimal), or of memory (``0x12340 R``)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from memvirt.errors import TraceError
from memvirt.workload.batch import Batch, Options
from memvirt.workload.lines import read_lines, shape
from memvirt.workload.sniff import LIKELY, fitting
from memvirt.workload.stream import Sample, Stream

UNFIT = "Ramulator's addresses are physical, and those that missed the caches: no TLB looks them up"
MEMORY = rb"(?P<address>(?:0[xX])?[0-9a-fA-F]{1,16})[ \t]+(?P<kind>[RW])"
CPU = rb"(?P<instructions>[0-9]{1,9})[ \t]+(?P<address>[0-9]{1,20})(?:[ \t]+[0-9]{1,20})?"
LINES = [re.compile(pattern.decode()) for pattern in (MEMORY, CPU)]
NEARLY_ALL = 0.95  #: of lines


def sniff(sample: Sample) -> float:
    """By its lines, which are much like others': less than a format that says more, and nothing where some don't fit."""
    fits = max(fitting(sample, line) for line in LINES)
    return (LIKELY - 0.2) * fits if fits >= NEARLY_ALL else 0.0


def read(stream: Stream, options: Options) -> Iterator[Batch]:
    """Read a trace; of what a CPU writes back, the line read in its stead is the access."""
    of_memory, of_cpu = (fitting(stream.sample(), line) for line in LINES)
    if not of_memory and not of_cpu:
        raise TraceError(stream.name, "line 1", "is no line of Ramulator's")
    if of_memory >= of_cpu:
        return read_lines(stream, options, shape(MEMORY, "Ramulator's memory traces"))
    return read_lines(stream, options, shape(CPU, "Ramulator's CPU traces", base=10))
