"""A trace file as a source of accesses: short ones are held in memory, long ones of memvirt's own form are read by the chunk."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from memvirt.errors import TraceError
from memvirt.types import FETCH, Accesses
from memvirt.workload.files import read_cached
from memvirt.workload.own import OwnFile
from memvirt.workload.source import Source, piece

IN_MEMORY = 1 << 24  #: accesses of a trace that is held as a whole, at six bytes each
PARQUET = b"PAR1"  #: how such a file begins


class Stored(NamedTuple):
    """A trace file, ready to be read.

    Attributes
    ----------
    source : Source
    fetches : bool
        Whether some of its accesses are instruction fetches.
    """

    source: Source
    fetches: bool


class _Slice:
    """Reads a trace in memory; a class, since it must pickle."""

    def __init__(self, columns: Accesses) -> None:
        self.columns = columns

    def __call__(self, first: int, last: int) -> Accesses:
        return piece(self.columns, first, last)


@lru_cache(maxsize=8)
def _open(path: Path, stamp: tuple[int, int]) -> OwnFile:
    return OwnFile(path)


def _long_file(path: Path, name: str | None, fetches: bool) -> OwnFile | None:
    """The file, where it is in memvirt's own form and too long to be held."""
    if name not in (None, "parquet") or not path.is_file():
        return None
    try:
        status = path.stat()
        with path.open("rb") as opened:
            if opened.read(len(PARQUET)) != PARQUET:
                return None
    except OSError as wrong:
        raise TraceError(str(path), "", wrong.strerror or str(wrong)) from wrong
    file = _open(path, (status.st_mtime_ns, status.st_size))
    drops = not fetches and file.header.counts.get("fetches", 1) > 0
    return None if file.accesses <= IN_MEMORY or drops else file


def open_trace(path: Path, name: str | None, fetches: bool) -> Stored:
    """Open a trace file of a format of this name (None: as it says itself), with its instruction fetches or without.

    Raises
    ------
    TraceError
        If it is missing, truncated or malformed.
    """
    if (file := _long_file(path, name, fetches)) is not None:
        return Stored(Source(file.vpn, file.accesses, file.read), file.header.counts["fetches"] > 0)
    recording = read_cached(path, name, fetches)
    columns = recording.accesses
    return Stored(Source(recording.vpn, columns.page.size, _Slice(columns)), fetches and bool((columns.line & FETCH).any()))
