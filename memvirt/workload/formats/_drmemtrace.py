"""The kernel that takes drmemtrace's entries apart; in a file of its own, so that little else compiles it anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import kernel

LOAD, STORE, FETCHED = 0, 1, 2
#: Types of entries (``trace_type_t``); those of fetched instructions are `INSTRUCTION` to `RETURN`, `SYSENTER`, `TAKEN`, `UNTAKEN`.
READ, WRITE, INSTRUCTION, RETURN, BUNDLE, PID = 0, 1, 10, 16, 17, 24
HEADER, FOOTER, MARKER, MAYBE_FETCH, SYSENTER, TAKEN, UNTAKEN, TYPES = 25, 26, 28, 30, 31, 48, 49, 64
#: What `take_apart` keeps from call to call: instructions since the last access, whether fetches are accesses, the line fetched
#: from last, the last instruction's address, the process, whether the footer was seen, and the last timestamp (microseconds).
INSTRUCTIONS, FETCHES, FETCHED_FROM, AT, PROCESS, ENDED, STAMP, STATE = 0, 1, 2, 3, 4, 5, 6, 7
TIMESTAMP = 2  #: kind of a marker (``trace_marker_type_t``)


@kernel
def take_apart(
    words: NDArray[np.uint32],
    state: NDArray[np.int64],
    address: NDArray[np.uint64],
    what: NDArray[np.uint8],
    gap: NDArray[np.int64],
    entry: NDArray[np.int32],
    process: NDArray[np.int64],
    stamp: NDArray[np.int64],
) -> tuple[int, int]:
    """List the accesses of entries.

    Parameters
    ----------
    words : (entries, 2 or 3) uint32
        Type and size, then the address (of a 32-bit program in two words, else in three).
    state : (7,) int64
        See above.
    address, what, gap, entry, process, stamp : (n,)
        Filled from the start; there must be room for all. ``entry`` is the access's entry, ``stamp`` the last timestamp before it.

    Returns
    -------
    found, wrong : int
        Accesses; the first entry of a type that there is not, or -1.
    """
    found = 0
    wide = words.shape[1] == 3
    for at in range(words.shape[0]):
        kind, size = np.int64(words[at, 0] & 0xFFFF), np.int64(words[at, 0] >> 16)
        place = np.uint64(words[at, 1])
        if wide:
            place |= np.uint64(words[at, 2]) << np.uint64(32)
        if kind == READ or kind == WRITE:
            address[found], what[found], gap[found] = place, STORE if kind == WRITE else LOAD, state[INSTRUCTIONS]
            entry[found], process[found], stamp[found] = at, state[PROCESS], state[STAMP]
            state[INSTRUCTIONS] = 0
            found += 1
            continue
        fetched = (kind >= INSTRUCTION and kind <= RETURN) or kind == SYSENTER or kind == TAKEN or kind == UNTAKEN
        if kind == MAYBE_FETCH:  # the next turn of a string instruction fetches nothing
            fetched = np.int64(place) != state[AT]
        if fetched or kind == MAYBE_FETCH:
            state[AT] = np.int64(place)
        if fetched:
            state[INSTRUCTIONS] += 1
            line = np.int64(place >> np.uint64(6))
            if state[FETCHES] and line != state[FETCHED_FROM]:
                state[FETCHED_FROM] = line
                address[found], what[found], gap[found] = place, FETCHED, state[INSTRUCTIONS]
                entry[found], process[found], stamp[found] = at, state[PROCESS], state[STAMP]
                state[INSTRUCTIONS] = 0
                found += 1
        elif kind == BUNDLE:
            state[INSTRUCTIONS] += size
        elif kind == PID:
            state[PROCESS] = np.int64(place)
        elif kind == MARKER and size == TIMESTAMP:
            state[STAMP] = np.int64(place)
        elif kind == FOOTER:
            state[ENDED] = 1
        elif kind >= TYPES:
            return found, at
    return found, -1
