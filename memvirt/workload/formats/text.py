r"""Text of a stated pattern: ``--pattern '{*}: {rw} {address}'`` says what a line holds.

``{address}`` is hexadecimal, ``{address:d}`` decimal unless it begins with 0x; ``{rw}`` is a word whose first letter tells a
load (r, l, 0), a store (w, s, m, 1) or an instruction (i, f, 2); ``{process}`` numbers address spaces, ``{instructions}`` those
before the access; ``{*}`` is a word, ``{...}`` the rest. Lines that begin with ``#`` are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from memvirt.errors import MemvirtError
from memvirt.workload.batch import Batch, Options
from memvirt.workload.lines import pattern_shape, read_lines
from memvirt.workload.stream import Sample, Stream

DUMPED = re.compile(r"[0-9a-fA-F]{1,16}(,[0-9a-fA-F]{1,16}){5}\s*")
PAIR = re.compile(r"\s*(?:[A-Za-z]{1,6}|[0-2])\s+(?:0[xX])?[0-9a-fA-F]{1,20}\s*")
NUMBER = re.compile(r"\s*(?:0[xX])?[0-9a-fA-F]{1,20}\s*")


def sniff(sample: Sample) -> float:
    """Never: its pattern must be stated."""
    return 0.0


def explain(sample: Sample) -> str:
    """Tell page-table dumps, lines of an operation and an address, and lines of a number."""
    lines = [line for line in sample.lines(50) if line.strip() and not line.startswith("#")]
    if len(lines) > 1 and lines[0].strip().isdigit() and all(DUMPED.fullmatch(line) for line in lines[1:]):
        return "is the dump of a page table, which fixes the layout of a simulated machine: guest.page_table=FILE"
    if lines and all(PAIR.fullmatch(line) for line in lines):
        return (
            "is text of an operation and an address a line: --pattern '{rw} {address}', or '{rw} {address:d}' if they are decimal"
        )
    if len(lines) > 1 and all(NUMBER.fullmatch(line) for line in lines):
        return "is text of a number a line: --pattern '{address}' if they are hexadecimal addresses, '{address:d}' if decimal ones"
    return ""


def read(stream: Stream, options: Options) -> Iterator[Batch]:
    """Read a trace."""
    if options.pattern is None:
        raise MemvirtError("--format=text: --pattern says what a line holds, such as '{*}: {rw} {address}'")
    return read_lines(stream, options, pattern_shape(options.pattern))
