"""DRAMSys' stimuli (``.stl``): ``cycle: write 0x400140``, with the data after it, or how long it is before."""

from __future__ import annotations

import re
from collections.abc import Iterator

from memvirt.workload.batch import Batch, Options
from memvirt.workload.lines import read_lines, shape
from memvirt.workload.sniff import LIKELY, fitting
from memvirt.workload.stream import Sample, Stream

UNFIT = "DRAMSys' addresses are physical, and those that missed the caches: no TLB looks them up"
TICK = 1e-9  #: seconds of a cycle, which is the memory's, and which the file doesn't tell
ACCESS = (
    rb"(?P<time>\d{1,18}):[ \t]*(?:\(\d+\)[ \t]*)?(?P<kind>read|write)[ \t]+(?P<address>0[xX][0-9a-fA-F]{1,16})(?:[ \t]+[^\n]*)?"
)
LINE = re.compile(rf"\s*(?:{ACCESS.decode()})\s*")


def sniff(sample: Sample) -> float:
    """By its lines."""
    return LIKELY * fitting(sample, LINE)


def read(stream: Stream, options: Options) -> Iterator[Batch]:
    """Read a trace."""
    stream.note("doesn't say how long a cycle is: 1 ns")
    return read_lines(stream, options, shape(ACCESS, "DRAMSys' stimuli", tick=TICK))
