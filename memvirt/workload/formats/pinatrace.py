"""The text of Pin's example tool pinatrace: ``ip: R addr`` and ``ip: W addr``, and what people made of it: decimal, with a size.

Numbers with 0x are hexadecimal; without it they are if any address has a letter, else they are decimal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from memvirt.errors import TraceError
from memvirt.workload.batch import Batch, Options
from memvirt.workload.lines import Shape, read_lines, shape
from memvirt.workload.sniff import LIKELY, fitting
from memvirt.workload.stream import Sample, Stream

LINE = re.compile(r"\s*(?:0[xX])?[0-9a-fA-F]+:\s*[RW]\s+((?:0[xX])?[0-9a-fA-F]+)(?:\s+\S+){0,2}\s*")
ACCESS = rb"(?:0[xX])?[0-9a-fA-F]+:[ \t]*(?P<kind>[RW])[ \t]+(?P<address>(?:0[xX])?[0-9a-fA-F]{1,20})(?:[ \t]+[^\s]+){0,2}"
ENOUGH_DIGITS = 60  #: without a letter among them, of numbers that so aren't hexadecimal


def sniff(sample: Sample) -> float:
    """By its lines."""
    return LIKELY * fitting(sample, LINE)


def _shape(sample: Sample, name: str) -> Shape:
    matches = [match.group(1) for line in sample.lines() if (match := LINE.fullmatch(line))]
    bare = "".join(word for word in matches if word[:2].lower() != "0x")
    base = 16 if not bare or re.search("[a-fA-F]", bare) else 10
    if base == 10 and len(bare) < ENOUGH_DIGITS:
        patterns = "--pattern '{*}: {rw} {address:d}' if they are decimal, '{*}: {rw} {address}' if hexadecimal"
        raise TraceError(name, "", f"is pinatrace's text with too few addresses to tell their base: {patterns}")
    return shape(ACCESS, "pinatrace", base=base)


def read(stream: Stream, options: Options) -> Iterator[Batch]:
    """Read a trace."""
    return read_lines(stream, options, _shape(stream.sample(), stream.name))
