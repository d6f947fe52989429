"""What DynamoRIO's ``view`` tool prints of a drmemtrace: a line a record."""

from __future__ import annotations

import re
from collections.abc import Iterator

from memvirt.workload.batch import Batch, Options
from memvirt.workload.lines import read_lines, shape
from memvirt.workload.sniff import LIKELY, fitting
from memvirt.workload.stream import Sample, Stream

RECORD = rb"\d+(?:[ \t]+\d+)?:[ \t]*(?:W\d+\.)?T?\d+[ \t]+"
#: A fetch says its bytes, an access by which instruction it is.
ACCESS = RECORD + rb"(?P<kind>ifetch|read|write)[ \t]+\d+ byte\(s\) @ (?P<address>0x[0-9a-fA-F]{1,16})[^\n]*"
PASSED = RECORD + rb"(?!ifetch|read|write)[^\n]*|Output format:|<[^\n]*|-{5,}|View tool results:|[ \t]*\d+ : [^\n]*|#[^\n]*"
LINES = [re.compile(rf"\s*(?:{pattern.decode()})\s*") for pattern in (ACCESS, PASSED)]


def sniff(sample: Sample) -> float:
    """By its lines."""
    return LIKELY * fitting(sample, *LINES) if fitting(sample, LINES[0]) else 0.0


def read(stream: Stream, options: Options) -> Iterator[Batch]:
    """Read a trace."""
    return read_lines(stream, options, shape(ACCESS, "drmemtrace's view", PASSED))
