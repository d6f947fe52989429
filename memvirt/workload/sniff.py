"""Telling a file's format by its content: each format scores the file's beginning, and the best one must stand alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import ModuleType

from memvirt.errors import ConfigError, TraceError
from memvirt.policy import load, names
from memvirt.workload.stream import Sample, Stream

FAMILY = "workload.formats"
LIFE = "a page life"  #: what a format holds that says which pages are visited when, not each access
SURE = 1.0  #: score of a file that begins with the format's own mark
LIKELY = 0.9  #: of one whose records all make sense, where most files' would not
BY_ENDING = 0.5  #: of one that could be anything, and whose ending says that it is this
LEAST, TIE = 0.4, 0.1  #: score below which a format isn't believed, and by how much it must be ahead of the next
#: What else a file may be, by its first bytes.
KINDS = {
    b"PERFILE2": "perf.data, which `perf script` turns into text",
    b"\x7fELF": "an ELF program",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive: unpack it first",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file",
    b"SQLite format 3\x00": "an SQLite database",
    b"\x93NUMPY": "a NumPy array: write it with tofile as little-endian u64",
    b"\xf0\xde\xbc\x9a\x78\x56\x34\x12": "libCacheSim's own form (lcs): its traceConv makes oracleGeneral of it",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself: git lfs pull fetches it",
    b"ARROW1": "an Arrow file: write it as Parquet",
    b"\x80\x04\x95": "a pickle, which is never read",
    b"PAR1": "a Parquet file",
}


def fitting(sample: Sample, *patterns: re.Pattern[str], remarks: str = "#") -> float:
    """Share of a text's lines that a pattern fits whole, blank ones and those that begin with ``remarks`` left out."""
    lines = [line for line in sample.lines() if line.strip() and not (remarks and line.startswith(remarks))]
    return sum(any(pattern.fullmatch(line) for pattern in patterns) for line in lines) / len(lines) if lines else 0.0


def scores(sample: Sample) -> dict[str, float]:
    """How well each format fits, the best first."""
    found = {name: float(load(FAMILY, name).sniff(sample)) for name in names(FAMILY)}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def explained(sample: Sample) -> str:
    """What a format says of a file that it knows, but can't read."""
    said = (getattr(load(FAMILY, name), "explain", lambda _: "")(sample) for name in names(FAMILY))
    return next((str(each) for each in said if each), "")


def known_as(sample: Sample) -> str:
    """Say what a file is, if that is known; empty else."""
    for magic, kind in KINDS.items():
        if sample.head.startswith(magic):
            return f"is {kind}"
    if sample.head[257:262] == b"ustar":
        return "is a tar archive: unpack it first"
    return explained(sample)


def begins(sample: Sample) -> str:
    """Say how a file begins that nothing is known of."""
    if lines := sample.lines(1):
        return f"is text of no known trace format: it begins {lines[0][:60]!r}"
    return f"is of no known trace format: it begins {sample.head[:16].hex(' ')}"


def choose(stream: Stream, name: str | None = None, holds: Sequence[str] = ("accesses",)) -> ModuleType:
    """Find the format of an open file: the given one, or the one that its content fits best.

    Parameters
    ----------
    stream : Stream
    name : str, optional
        The format, if it is known.
    holds : sequence of str
        What the caller can use; a format says it by ``HOLDS``.

    Raises
    ------
    ConfigError
        If there is no format of the given name.
    TraceError
        If no format fits, several do, or the file holds something else.
    """
    if name is not None:
        if name not in names(FAMILY):
            raise ConfigError("format", name, "no such trace format is built in", names(FAMILY))
        chosen = name
    else:
        sample = stream.sample()
        if not sample.head:
            raise TraceError(stream.name, "", "is empty")
        found = scores(sample)
        best = max(found.values())
        if best < LEAST or (best == LEAST and explained(sample)):
            says = f"{begins(sample)}; --format says how it is written: {', '.join(sorted(found))}"
            raise TraceError(stream.name, "", known_as(sample) or says)
        near = [known for known, score in found.items() if score > best - TIE]
        if len(near) > 1:
            raise TraceError(stream.name, "", f"may be {' or '.join(near)}: say which by --format")
        chosen = near[0]
    module = load(FAMILY, chosen)
    if stream.parts and not getattr(module, "PARTS", False):
        raise TraceError(stream.name, "", f"is a folder of {len(stream.parts)} files of {chosen}: name one of them")
    kind = getattr(module, "HOLDS", "accesses")
    if kind not in holds:
        hint = ": workload=pageset workload.path=FILE reads it" if kind == LIFE else ""
        raise TraceError(stream.name, "", f"is {chosen}'s, which holds {kind}, not {' or '.join(holds)}{hint}")
    return module
