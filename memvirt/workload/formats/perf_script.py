"""What ``perf script`` prints of memory samples (``perf mem record``): an address and a data source (``|OP LOAD|…``) a line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from memvirt.workload.batch import Batch, Options
from memvirt.workload.lines import read_lines, shape
from memvirt.workload.sniff import LIKELY, fitting
from memvirt.workload.stream import Sample, Stream

UNFIT = "perf's samples are a few accesses of many: what lies between them, which TLBs would see, is missing"
PROCESS = rb"(?:[^\n]*?[ \t](?P<space>\d{1,9})(?:/\d+)?[ \t]+(?:\[\d+\][ \t]+)?(?P<time>\d{1,12}\.\d{1,12}):[ \t])?"
ACCESS = rb"(?=[^\n]*\|OP )" + PROCESS + rb"[^\n|]*?(?P<address>[0-9a-f]{1,16})[ \t]+[0-9a-f]+ \|OP (?P<kind>LOAD|STORE)\|[^\n]*"
PASSED = rb"#[^\n]*|[^\n]*\|OP (?!LOAD|STORE)[^\n]*"
LINE = re.compile(rf"\s*(?:{ACCESS.decode()})")


def sniff(sample: Sample) -> float:
    """By its lines."""
    return LIKELY * fitting(sample, LINE)


def read(stream: Stream, options: Options) -> Iterator[Batch]:
    """Read samples."""
    return read_lines(stream, options, shape(ACCESS, "perf script's memory samples", PASSED))
