"""ChampSim's instruction traces (``inc/trace_instruction.h``: ``input_instr``, records of 64 bytes without a header).

An instruction's operands in memory are its accesses: those that it reads, then those that it writes; 0 is none, and one that it
reads and writes is one access, a write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.workload.batch import MOST_BITS, Batch, Options, Spaces, sign_extend
from memvirt.workload.formats._champsim import NOWHERE, take_apart
from memvirt.workload.numbers import blocks
from memvirt.workload.sniff import BY_ENDING, LEAST, LIKELY
from memvirt.workload.stream import Sample, Stream

NEARLY_ALL = 0.98  #: of records, whose flags are flags and whose addresses can be
FEW = 4  #: steps that say nothing
LONGEST = 16  #: bytes from an instruction to the next in memory, at the most


class Layout(NamedTuple):
    """Where things are in a record.

    Attributes
    ----------
    width : int
        Bytes.
    first_write, first_read, end : int
        Numbers of the 8-byte words.
    space : int or None
        Byte of the 16-bit address space.
    """

    width: int
    first_write: int
    first_read: int
    end: int
    space: int | None = None


LAYOUT = Layout(64, 2, 4, 8)
ENDINGS = (".champsim", ".champsimtrace")


def fits(sample: Sample, layout: Layout, endings: tuple[str, ...]) -> float:
    """Score records: flags are flags, addresses can be, and an instruction mostly follows the one before it in memory."""
    named = BY_ENDING if sample.ending in endings else 0.0
    width = layout.width
    if not sample.head or (sample.size is not None and sample.size % width):
        return named * (len(sample.head) >= width)
    rows = np.frombuffer(sample.head[: len(sample.head) // width * width], np.uint8).reshape(-1, width)
    words = rows.view("<u8")
    branch, taken = rows[:, 8], rows[:, 9]
    address = np.concatenate([words[:, :1], words[:, layout.first_write : layout.end]], axis=1)
    good = (branch <= 1) & (taken <= branch) & (sign_extend(address, MOST_BITS) == address).all(axis=1)
    if not rows.shape[0] or good.mean() < NEARLY_ALL or not words[:, 0].any() or not address[:, 1:].any():
        return named
    step = (words[1:, 0] - words[:-1, 0])[taken[:-1] == 0]
    follows = float((step <= LONGEST).mean()) if step.size >= FEW and step.any() else 0.0
    return LIKELY if follows > 0.5 else max(named, LEAST)


def sniff(sample: Sample) -> float:
    """By its records."""
    return fits(sample, LAYOUT, ENDINGS)


def read_records(stream: Stream, options: Options, layout: Layout) -> Iterator[Batch]:
    """Read records of a layout."""
    instructions = 0
    fetched_from = np.full(1 if options.fetches else 0, NOWHERE, np.uint64)
    spaces = Spaces()
    for at, block in blocks(stream, layout.width, f"ends in mid-record: an instruction takes {layout.width} bytes"):
        words: NDArray[np.uint64] = np.frombuffer(block, "<u8").reshape(-1, layout.width // 8)
        most = words.shape[0] * (layout.end - layout.first_write + 1)
        address, what = np.empty(most, np.uint64), np.empty(most, np.uint8)
        gap, record = np.empty(most, np.int64), np.empty(most, np.int32)
        found, instructions = take_apart(
            words, layout.first_write, layout.first_read, layout.end, fetched_from, address, what, gap, record, instructions
        )
        space = None
        if layout.space is not None:
            number = np.frombuffer(block, "<u2").reshape(-1, layout.width // 2)[:, layout.space // 2]
            space = spaces.number(number)[record[:found]]
        yield Batch(address[:found], what[:found], gap[:found], _place(at, layout.width, record), space)


def _place(at: int, width: int, record: NDArray[np.int32]) -> Callable[[int], str]:
    return lambda index: f"byte {at + width * int(record[index])}"


def read(stream: Stream, options: Options) -> Iterator[Batch]:
    """Read a trace."""
    return read_records(stream, options, LAYOUT)
