"""The text of Valgrind's Lackey (``--trace-mem=yes``; Valgrind manual, section 13.2).

``L``, ``S`` and ``M`` lines are a load, a store and both at one address (one access here, a write); ``I`` lines count
instructions, and are accesses themselves where fetches are asked for: one each time that another 64-byte line is fetched
from. A text without ``I`` lines says nothing of instructions: each access is one. Lines that begin with ``==`` or ``--`` are
Valgrind's own, ``SB`` lines superblocks'.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import TraceError
from memvirt.workload.batch import Batch, Options, whole
from memvirt.workload.formats._lackey import COUNTS, FETCHED_FROM, FETCHES, LINES, OTHER_PROCESS, PROCESS, STATE, parse
from memvirt.workload.sniff import LIKELY, fitting
from memvirt.workload.stream import Sample, Stream

BLOCK = 1 << 22  #: bytes of text parsed at a time
LINE = re.compile(r"(I {1,2}| [LSM] {1,2})[0-9a-fA-F]{1,16},\d+\s*")
OTHER = re.compile(r"(==|--)\d*.*|SB [0-9a-fA-F]+\s*")
UNCOUNTED = "has no instruction lines: each access counts as one instruction"


class Readable(Protocol):
    """What a text is read from."""

    def read(self, size: int, /) -> bytes:
        """Next bytes, fewer only at the end."""


def sniff(sample: Sample) -> float:
    """By its lines."""
    return LIKELY * fitting(sample, LINE, OTHER, remarks="") if fitting(sample, LINE, remarks="") else 0.0


class _Columns(NamedTuple):
    """What `parse` fills, with room for each line of a block."""

    address: NDArray[np.uint64]
    what: NDArray[np.uint8]
    gap: NDArray[np.int64]


def _columns(size: int) -> _Columns:
    return _Columns(np.empty(size, np.uint64), np.empty(size, np.uint8), np.empty(size, np.int64))


def _line_of(text: NDArray[np.uint8], before: NDArray[np.int64]) -> Callable[[int], str]:
    """Find the line of an access by parsing up to it again."""

    def where(index: int) -> str:
        state = before.copy()
        parse(text, *_columns(index + 1), state)
        return f"line {int(state[LINES])}"

    return where


def batches(stream: Readable, name: str, fetches: bool = False, note: Callable[[str], Any] | None = None) -> Iterator[Batch]:
    """Parse a text block by block.

    Parameters
    ----------
    stream : Readable
    name : str
        For errors.
    fetches : bool
        Whether instruction fetches are accesses.
    note : function, optional
        Told what the text doesn't say.

    Raises
    ------
    TraceError
        At the first malformed line, or at that of another process: lines don't say whose they are.
    """
    state = np.zeros(STATE, np.int64)
    state[FETCHES], state[FETCHED_FROM], state[PROCESS] = fetches, -1, -1
    pending, first, ended = b"", True, False
    room = 1 << 16
    while not ended:
        block = stream.read(BLOCK)
        ended = len(block) < BLOCK
        cut = bool(ended and (pending or block) and not (block or pending).endswith(b"\n"))
        pending += block + b"\n" if cut else block
        end = pending.rfind(b"\n") + 1
        if not end and not ended and len(pending) > BLOCK:
            raise TraceError(name, f"line {int(state[LINES]) + 1}", "is longer than any of Lackey's --trace-mem=yes")
        text = np.frombuffer(pending, np.uint8, count=end)
        if first:
            state[COUNTS], first = b"\nI " in pending or pending.startswith(b"I "), False
        while text.size:
            columns, before = _columns(room), state.copy()
            used, found, bad = parse(text, *columns, state)
            room = max(room, min(text.size // 8, 1 << 20))
            if found:
                yield Batch(*columns, _line_of(text, before)).part(0, found)
            if bad:
                last = cut and b"\n" not in bytes(text[used:-1])
                raise TraceError(name, f"line {int(state[LINES]) + 1}", _complaint(bytes(text[used : used + 60]), bad, state, last))
            text = text[used:]
        pending = pending[end:]
    if note and not state[COUNTS]:
        note(UNCOUNTED)


def _complaint(line: bytes, bad: int, state: NDArray[np.int64], last: bool) -> str:
    said = repr(line.split(b"\n")[0].decode(errors="replace"))
    if bad == OTHER_PROCESS:
        return (
            f"is another process's ({said} after process {int(state[PROCESS])}), and accesses don't say whose they are: "
            "record each to a file of its own (valgrind --log-file=NAME.%p)"
        )
    return f"is cut short, and the file ends: {said}" if last else f"is no line of Lackey's --trace-mem=yes: {said}"


def read_stream(
    stream: Readable, name: str, limit: int | None = None, skip: int = 0, fetches: bool = False
) -> tuple[NDArray[np.uint64], NDArray[np.uint8], NDArray[np.int64]]:
    """Parse a text, and keep so many accesses (``limit``) after so many that aren't (``skip``)."""

    def kept() -> Iterator[Batch]:
        seen = 0
        for batch in batches(stream, name, fetches):
            low = min(max(skip - seen, 0), batch.address.size)
            high = batch.address.size if limit is None else min(batch.address.size, max(skip + limit - seen, 0))
            seen += batch.address.size
            yield batch.part(low, max(low, high))
            if limit is not None and seen >= skip + limit:
                return

    address, what, gap, _ = whole(kept())
    return address, what, gap


def read(stream: Stream, options: Options) -> Iterator[Batch]:
    """Read a trace."""
    return batches(stream, stream.name, options.fetches, stream.note)
