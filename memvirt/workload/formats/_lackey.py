"""The kernel that parses Lackey's lines; in a file of its own, so that little else compiles it anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import kernel

#: What `parse` keeps from call to call: lines read, instructions since the last access, whether fetches are accesses, the line
#: fetched from last, whether the text has instruction lines, and the process.
LINES, INSTRUCTIONS, FETCHES, FETCHED_FROM, COUNTS, PROCESS, STATE = 0, 1, 2, 3, 4, 5, 6
FINE, MALFORMED, OTHER_PROCESS = 0, 1, 2
LOAD, STORE, FETCHED = 0, 1, 2
NEWLINE, RETURN, SPACE, COMMA, DASH, EQUALS = 10, 13, 32, 44, 45, 61
LETTER_B, LETTER_I, LETTER_L, LETTER_M, LETTER_S = 66, 73, 76, 77, 83


@kernel
def parse(
    text: NDArray[np.uint8],
    address: NDArray[np.uint64],
    what: NDArray[np.uint8],
    gap: NDArray[np.int64],
    state: NDArray[np.int64],
) -> tuple[int, int, int]:
    """Parse whole lines.

    Parameters
    ----------
    text : (size,) uint8
        Ends with a newline.
    address, what, gap : (n,)
        Filled from the start; parsing stops when they are full.
    state : (6,) int64
        See above.

    Returns
    -------
    used, count, bad : int
        Bytes parsed, accesses found, what is wrong with the line that follows.
    """
    at, found, size, room = 0, 0, text.size, address.size
    lines, instructions, counts = int(state[LINES]), int(state[INSTRUCTIONS]), int(state[COUNTS])
    bad = FINE
    while at < size and found < room:
        start = at
        first = text[at]
        kind = int(first)
        if first == SPACE:
            kind = int(text[at + 1])
            at += 1
            if kind == LETTER_I:
                kind = 0
        elif first != LETTER_I:
            kind = 0
        if kind == LETTER_I or kind == LETTER_L or kind == LETTER_S or kind == LETTER_M:
            at += 1
            spaces = at
            while text[at] == SPACE:
                at += 1
            value, begin, good = np.uint64(0), at, at > spaces
            while True:
                digit = int(text[at])
                if digit >= 48 and digit <= 57:
                    digit -= 48
                else:
                    digit = (digit | 32) - 87
                    if digit < 10 or digit > 15:
                        break
                value = (value << np.uint64(4)) | np.uint64(digit)
                at += 1
            good = good and 0 < at - begin <= 16 and text[at] == COMMA
            if good:
                at += 1
                begin = at
                while text[at] >= 48 and text[at] <= 57:
                    at += 1
                good = at > begin
                while text[at] == RETURN or text[at] == SPACE:
                    at += 1
                good = good and text[at] == NEWLINE
            if not good:
                bad, at = MALFORMED, start
                break
            new = True
            if kind == LETTER_I:
                counts = 1
                instructions += 1
                new = False
                if state[FETCHES]:
                    fetched = np.int64(value >> np.uint64(6))
                    new = fetched != state[FETCHED_FROM]
                    state[FETCHED_FROM] = fetched
            if new:
                address[found] = value
                what[found] = FETCHED if kind == LETTER_I else (LOAD if kind == LETTER_L else STORE)
                gap[found] = instructions if counts else 1
                instructions = 0
                found += 1
        else:  # a blank line, one of Valgrind's own (==PID==, --PID--), or a superblock's
            at = start
            marked = (first == EQUALS or first == DASH) and text[at + 1] == first
            if marked:
                at += 2
                process = 0
                begin = at
                while text[at] >= 48 and text[at] <= 57:
                    process = 10 * process + int(text[at]) - 48
                    at += 1
                if at > begin and text[at] == first:
                    if state[PROCESS] != process and state[PROCESS] >= 0:
                        bad, at = OTHER_PROCESS, start
                        break
                    state[PROCESS] = process
            blank = not marked and not (first == LETTER_S and text[at + 1] == LETTER_B and text[at + 2] == SPACE)
            while text[at] != NEWLINE:
                if blank and text[at] != SPACE and text[at] != RETURN:
                    bad = MALFORMED
                    break
                at += 1
            if bad != FINE:
                at = start
                break
        at += 1
        lines += 1
    state[LINES], state[INSTRUCTIONS], state[COUNTS] = lines, instructions, counts
    return at, found, bad
