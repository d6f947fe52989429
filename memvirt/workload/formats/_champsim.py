"""The kernel that takes ChampSim's records apart; in a file of its own, so that little else compiles it anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import kernel

LOAD, STORE, FETCHED = 0, 1, 2
NOWHERE = np.uint64(0xFFFFFFFFFFFFFFFF)


@kernel
def take_apart(
    words: NDArray[np.uint64],
    first_write: int,
    first_read: int,
    end: int,
    fetched_from: NDArray[np.uint64],
    address: NDArray[np.uint64],
    what: NDArray[np.uint8],
    gap: NDArray[np.int64],
    record: NDArray[np.int32],
    instructions: int,
) -> tuple[int, int]:
    """List the accesses of records, an instruction's reads before its writes; what it reads and writes is one write.

    Parameters
    ----------
    words : (records, words) uint64
        The instruction's address first.
    first_write, first_read, end : int
        Columns where the written addresses begin, the read ones, and where they end; 0 is none.
    fetched_from : (1,) uint64
        Line that was fetched last; `NOWHERE` before any; empty where fetches aren't asked for.
    address, what, gap, record : (n,)
        Filled from the start; there must be room for all. ``record`` is the access's record.
    instructions : int
        Since the last access.

    Returns
    -------
    found, instructions : int
    """
    found = 0
    for at in range(words.shape[0]):
        instructions += 1
        if fetched_from.size:
            line = words[at, 0] >> np.uint64(6)
            if line != fetched_from[0]:
                fetched_from[0] = line
                address[found], what[found], gap[found], record[found] = words[at, 0], FETCHED, instructions, at
                instructions = 0
                found += 1
        for column in range(first_read, end):
            place = words[at, column]
            if place == 0:
                continue
            written = False
            for other in range(first_write, first_read):
                written = written or words[at, other] == place
            if not written:
                address[found], what[found], gap[found], record[found] = place, LOAD, instructions, at
                instructions = 0
                found += 1
        for column in range(first_write, first_read):
            place = words[at, column]
            if place != 0:
                address[found], what[found], gap[found], record[found] = place, STORE, instructions, at
                instructions = 0
                found += 1
    return found, instructions
