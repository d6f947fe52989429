r"""Text of a stated pattern: ``--pattern '{*}: {rw} {address}'`` says what a line holds.

``{address}`` is hexadecimal, ``{address:d}`` decimal unless it begins with 0x; ``{rw}`` is a word whose first letter tells a
load (r, l, 0), a store (w, s, m, 1) or an instruction (i, f, 2); ``{process}`` numbers address spaces, ``{instructions}`` those
before the access; ``{*}`` is a word, ``{...}`` the rest. Lines that begin with ``#`` are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator

from memvirt.errors import MemvirtError
from memvirt.workload.batch import Batch, Options
from memvirt.workload.lines import pattern_shape, read_lines
from memvirt.workload.stream import Sample, Stream


def sniff(sample: Sample) -> float:
    """Never: its pattern must be stated."""
    return 0.0


def read(stream: Stream, options: Options) -> Iterator[Batch]:
    """Read a trace."""
    if options.pattern is None:
        raise MemvirtError("--format=text: --pattern says what a line holds, such as '{*}: {rw} {address}'")
    return read_lines(stream, options, pattern_shape(options.pattern))
