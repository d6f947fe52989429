"""The text of Valgrind's Lackey (``--trace-mem=yes``; Valgrind manual, section 13.2).

``L``, ``S`` and ``M`` lines are a load, a store and both at one address (one access here, a write); ``I`` lines count
instructions, and are accesses themselves where fetches are asked for: one each time that another 64-byte line is fetched
from; lines that begin with ``==`` are Valgrind's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import TraceError
from memvirt.jit import kernel
from memvirt.workload.files import Recording, from_addresses

BLOCK = 1 << 24
KEEPS_FETCHES = True  #: `read` has an argument for them
LOAD, STORE, FETCHED = 0, 1, 2  #: kinds of accesses


@kernel
def parse(
    text: NDArray[np.uint8],
    size: int,
    address: NDArray[np.uint64],
    what: NDArray[np.uint8],
    gap: NDArray[np.int64],
    state: NDArray[np.int64],
) -> tuple[int, int, int]:
    """Parse whole lines.

    Parameters
    ----------
    text : (size or more,) uint8
    address, what, gap : (n,)
        Filled from the start; parsing stops when they are full.
    state : (4,) int64
        Lines read, instructions since the last access, whether fetches are accesses, and the line fetched from last.

    Returns
    -------
    used, count, bad : int
        Bytes parsed, accesses found, 1 if the line that follows is malformed.
    """
    at, found = 0, 0
    while at < size and found < address.size:
        end = at
        while end < size and text[end] != 10:
            end += 1
        if end == size:
            break
        start, stop = at, end
        while stop > start and (text[stop - 1] == 13 or text[stop - 1] == 32):
            stop -= 1
        if stop == start or (stop - start >= 2 and text[start] == 61 and text[start + 1] == 61):
            state[0] += 1
            at = end + 1
            continue
        kind = text[start] if text[start] != 32 else (text[start + 1] if stop - start > 1 else np.uint8(0))
        shifted = text[start] == 32
        place = start + (2 if shifted else 1)
        good = (kind == 73 and not shifted) or (shifted and (kind == 76 or kind == 83 or kind == 77))
        if not good or place >= stop or text[place] != 32:
            return at, found, 1
        while place < stop and text[place] == 32:
            place += 1
        value, digits = np.uint64(0), 0
        while place < stop and text[place] != 44:
            digit = np.int64(text[place])
            if 48 <= digit <= 57:
                digit -= 48
            elif 97 <= digit <= 102:
                digit -= 87
            elif 65 <= digit <= 70:
                digit -= 55
            else:
                return at, found, 1
            value = (value << np.uint64(4)) | np.uint64(digit)
            digits += 1
            place += 1
        if digits == 0 or digits > 16 or place >= stop - 1:
            return at, found, 1
        for rest in range(place + 1, stop):
            if text[rest] < 48 or text[rest] > 57:
                return at, found, 1
        new = True
        if kind == 73:
            state[1] += 1
            new = state[2] == 1 and np.int64(value >> np.uint64(6)) != state[3]
            state[3] = np.int64(value >> np.uint64(6))
        if new:
            address[found] = value
            what[found] = FETCHED if kind == 73 else (LOAD if kind == 76 else STORE)
            gap[found] = state[1]
            state[1] = 0
            found += 1
        state[0] += 1
        at = end + 1
    return at, found, 0


def read_stream(
    stream: BinaryIO, name: str, limit: int | None = None, skip: int = 0, fetches: bool = False
) -> tuple[NDArray[np.uint64], NDArray[np.uint8], NDArray[np.int64]]:
    """Parse a stream block by block, so that its text is never held as a whole.

    Parameters
    ----------
    stream : binary file
    name : str
        For error messages.
    limit, skip : int
        Accesses to keep, after so many that aren't.
    fetches : bool
        Whether instruction fetches are accesses.

    Raises
    ------
    TraceError
        At the first malformed line.
    """
    address, what, gap = np.empty(1 << 20, np.uint64), np.empty(1 << 20, np.uint8), np.empty(1 << 20, np.int64)
    state = np.array([0, 0, fetches, -1], np.int64)
    parts = []
    kept, seen, ended = 0, 0, False
    pending = b""
    while not ended and (limit is None or kept < limit):
        block = stream.read(BLOCK)
        ended = len(block) < BLOCK
        pending += block
        if ended and pending and not pending.endswith(b"\n"):
            pending += b"\n"
        text = np.frombuffer(pending, np.uint8)
        at = 0
        while True:
            used, found, bad = parse(text[at:], text.size - at, address, what, gap, state)
            low = min(max(skip - seen, 0), found)
            high = found if limit is None else min(found, low + limit - kept)
            parts.append((address[low:high].copy(), what[low:high].copy(), gap[low:high].copy()))
            kept, seen, at = kept + high - low, seen + found, at + used
            if limit is not None and kept >= limit:
                break
            if bad:
                line = bytes(text[at : at + 60]).split(b"\n")[0].decode(errors="replace")
                raise TraceError(name, f"line {int(state[0]) + 1}", f"is no line of Lackey's --trace-mem=yes: {line!r}")
            if found < address.size:
                break
        pending = pending[at:]
    columns = zip(*parts, strict=True) if parts else ([], [], [])
    whole = [np.concatenate(column) if len(column) else np.zeros(0) for column in columns]
    return whole[0].astype(np.uint64), whole[1].astype(np.uint8), whole[2].astype(np.int64)


def read(path: Path, limit: int | None = None, fetches: bool = False) -> Recording:
    """Read a trace."""
    with path.open("rb") as stream:
        columns = read_stream(stream, str(path), limit, fetches=fetches)
    return from_addresses(*columns, {"source": path.name, "format": "lackey"})
