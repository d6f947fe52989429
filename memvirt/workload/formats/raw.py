"""Raw addresses: little-endian 64-bit byte addresses, all reads, one instruction each.

Nothing in such a file says what it is: its ending must, or ``--format raw``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from memvirt.errors import TraceError
from memvirt.workload.batch import LOAD, MOST_BITS, Batch, Options, sign_extend
from memvirt.workload.numbers import read_numbers
from memvirt.workload.sniff import BY_ENDING, LEAST
from memvirt.workload.stream import Sample, Stream

ENDINGS = (".bin", ".raw", ".u64")


def sniff(sample: Sample) -> float:
    """By its ending; less if its addresses can't be."""
    if sample.ending not in ENDINGS:
        return 0.0
    address = np.frombuffer(sample.head[: len(sample.head) // 8 * 8], "<u8")
    return BY_ENDING if (sign_extend(address, MOST_BITS) == address).all() else LEAST


def _swapped(head: bytes) -> bool:
    """Whether addresses are all of 48 bits when their bytes are swapped, and mostly aren't as they are."""
    address = np.frombuffer(head[: len(head) // 8 * 8], "<u8")
    as_it_is, other = (
        (float((sign_extend(each, 48) == each).mean()) for each in (address, address.byteswap())) if address.size else (1, 0)
    )
    return other == 1 and as_it_is < 0.5


def read(stream: Stream, options: Options) -> Iterator[Batch]:
    """Read a trace."""
    if _swapped(stream.sample().head):
        raise TraceError(stream.name, "", "looks big-endian: raw traces are 8-byte little-endian addresses")
    stream.note("holds addresses alone: each is a load, and an instruction")
    kind = "ends in mid-address: raw traces are 8-byte little-endian addresses"
    return read_numbers(stream, dtype="<u8", shift=0, what=LOAD, kind=kind)
