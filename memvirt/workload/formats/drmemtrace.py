"""DynamoRIO's drmemtrace, its final traces: ``trace_entry_t`` records (``clients/drcachesim/common/trace_entry.h``) of 12 bytes.

Loads and stores are accesses; prefetches, flushes and markers aren't. Fetched instructions are counted, turns of a string
instruction after its first aren't. A file is one thread's; those of a folder, or of a zip file, run together: each block of a
thread's entries has a timestamp, and goes behind the blocks of earlier ones. What the tracer itself leaves (raw files) holds no
loads and stores apart: DynamoRIO's raw2trace makes final traces of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import TraceError
from memvirt.workload.batch import Batch, Options, Spaces, by_time
from memvirt.workload.formats._drmemtrace import (
    AT,
    ENDED,
    FETCHED_FROM,
    FETCHES,
    HEADER,
    MARKER,
    STATE,
    TYPES,
    take_apart,
)
from memvirt.workload.numbers import BLOCK, blocks
from memvirt.workload.sniff import SURE
from memvirt.workload.stream import Sample, Stream

PARTS = True
SMALLEST = 1 << 16  #: bytes of a thread's file that are read at a time
VERSIONS = range(1, 16)  #: of the format, as the header says it
FILETYPE = 9  #: marker of what the tracer was told to leave out
INSTRUCTIONS_ONLY, FILTERED = 0x4, 0x1 | 0x80 | 0x100
RAW_EXTENDED, RAW_HEADERS = 6, (0, 4)  #: of a raw file's first entry: its type (above) and what extends it
FILTERED_SAYS = "a cache filtered its accesses while it was recorded, so that most that hit a TLB are missing"


def entry_words(head: bytes) -> int:
    """32-bit words of an entry: 3, of a 32-bit program 2, of what isn't such a file 0."""
    if len(head) < 24:
        return 0
    words = np.frombuffer(head[:24], "<u4")
    if words[0] != HEADER or words[1] not in VERSIONS:
        return 0
    for wide, second in ((3, words[3]), (2, words[2])):
        if second & 0xFFFF == MARKER or ((wide == 2 or words[2] == 0) and second & 0xFFFF in (22, 24)):
            return wide
    return 0


def sniff(sample: Sample) -> float:
    """By the header that begins it."""
    return SURE if entry_words(sample.head) else 0.0


def explain(sample: Sample) -> str:
    """Say what a raw file is."""
    if len(sample.head) < 16:
        return ""
    first = int.from_bytes(sample.head[:8], "little")
    kind, extended, value = first >> 61, first >> 56 & 31, first >> 48 & 255
    version = value if extended == RAW_HEADERS[1] else first & 255
    if kind == RAW_EXTENDED and extended in RAW_HEADERS and 1 <= version < 16:
        return (
            "is drmemtrace's raw output, which doesn't tell loads from stores: DynamoRIO's drraw2trace makes the final trace of it"
        )
    return ""


class _Shared:
    """What threads of a trace have in common: its stream, numbers of processes, and when time begins."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.spaces = stream, Spaces()
        self.begin = 0


def read(stream: Stream, options: Options) -> Iterator[Batch]:
    """Read a trace, of one thread or of all of a folder's."""
    shared = _Shared(stream)
    if not stream.parts:
        return _read_thread(stream, options, shared, BLOCK)
    size = max(BLOCK // len(stream.parts), SMALLEST)
    return by_time([_read_thread(part, options, shared, size) for part in stream.parts])


def _read_thread(stream: Stream, options: Options, shared: _Shared, size: int) -> Iterator[Batch]:
    head = stream.sample().head
    wide = entry_words(head) or 3
    _tell_filters(stream, head, wide)
    shared.stream.unfit = stream.unfit or shared.stream.unfit
    state = np.zeros(STATE, np.int64)
    state[FETCHES], state[FETCHED_FROM], state[AT] = options.fetches, -1, -1
    first = True
    for at, block in blocks(stream, 4 * wide, f"ends in mid-entry: an entry takes {4 * wide} bytes", size):
        words: NDArray[np.uint32] = np.frombuffer(block, "<u4").reshape(-1, wide)
        if first and words[0, 0] != HEADER:
            raise TraceError(stream.name, "byte 0", "has no header of a final drmemtrace")
        first = False
        most = words.shape[0]
        address, what, gap = np.empty(most, np.uint64), np.empty(most, np.uint8), np.empty(most, np.int64)
        entry, process, stamp = np.empty(most, np.int32), np.empty(most, np.int64), np.empty(most, np.int64)
        found, wrong = take_apart(words, state, address, what, gap, entry, process, stamp)
        shared.begin = shared.begin or int(stamp[:found].max(initial=0))
        time = np.multiply(stamp[:found] - shared.begin, 1e-6, dtype=np.float64) if shared.begin else None
        place = _place(at, 4 * wide, entry, stream.name if stream.is_part else "")
        yield Batch(address[:found], what[:found], gap[:found], place, shared.spaces.number(process[:found]), time)
        if wrong >= 0:
            why = f"has an entry of type {int(words[wrong, 0] & 0xFFFF)}, and types are below {TYPES}"
            raise TraceError(stream.name, f"byte {at + 4 * wide * wrong}", why)
    if not state[ENDED]:
        stream.note("has no footer: it was cut short")


def _place(at: int, width: int, entry: NDArray[np.int32], part: str) -> Callable[[int], str]:
    return lambda index: f"{part and part + ', '}byte {at + width * int(entry[index])}"


def _tell_filters(stream: Stream, head: bytes, wide: int) -> None:
    words = np.frombuffer(head[: len(head) // (4 * wide) * 4 * wide], "<u4").reshape(-1, wide)
    for kind, value in words[: min(64, words.shape[0]), :2].tolist():
        if kind == MARKER | FILETYPE << 16:
            if value & INSTRUCTIONS_ONLY:
                raise TraceError(stream.name, "", "was recorded with instructions only, without data accesses")
            if value & FILTERED:
                stream.unfit = FILTERED_SAYS
