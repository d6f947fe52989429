"""Reading files of records of one size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import TraceError
from memvirt.workload.batch import Batch, numbered_from
from memvirt.workload.stream import Stream

BLOCK = 1 << 22  #: bytes that are read at a time, about


def blocks(stream: Stream, width: int, kind: str, most: int = BLOCK) -> Iterator[tuple[int, bytes]]:
    """Whole records of ``width`` bytes, blocks of ``most`` bytes at the most: the first one's place in bytes, and the block.

    Raises
    ------
    TraceError
        If the file ends within a record; ``kind`` says how.
    """
    at, size = 0, most // width * width
    while block := stream.read(size):
        whole = len(block) // width * width
        if whole:
            yield at, block[:whole] if whole < len(block) else block
        at += whole
        if whole < len(block):
            raise TraceError(stream.name, f"byte {at}", kind)


def read_numbers(stream: Stream, *, dtype: str, shift: int, what: int, kind: str) -> Iterator[Batch]:
    """Read a file of numbers and nothing else, each an access of one instruction.

    Parameters
    ----------
    stream : Stream
    dtype : str
        Of a number; its address is so much, shifted left by ``shift`` bits.
    what : int
        The kind of the accesses.
    kind : str
        What is wrong with a file that ends within a number.
    """
    width = np.dtype(dtype).itemsize
    for at, block in blocks(stream, width, kind):
        address: NDArray[np.uint64] = np.frombuffer(block, dtype).astype(np.uint64) << np.uint64(shift)
        kinds = np.full(address.size, what, np.uint8)
        yield Batch(address, kinds, np.ones(address.size, np.int64), numbered_from(at, width, "byte"))
