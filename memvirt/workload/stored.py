"""A trace file as a source of accesses: short ones are held in memory, long ones of memvirt's own form are read by the chunk."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from memvirt.digest import file_stamp
from memvirt.errors import TraceError
from memvirt.types import FETCH, Accesses, piece
from memvirt.workload.files import IN_MEMORY, read_cached
from memvirt.workload.formats.parquet import is_table
from memvirt.workload.own import OwnFile
from memvirt.workload.source import Source

PARQUET = b"PAR1"  #: how such a file begins


class Stored(NamedTuple):
    """A trace file, ready to be read.

    Attributes
    ----------
    source : Source
    fetches : bool
        Whether some of its accesses are instruction fetches.
    unfit : str
        Why no TLB looks its accesses up, if that is so.
    notes : list of str
        What the file doesn't say, and was assumed.
    """

    source: Source
    fetches: bool
    unfit: str
    notes: list[str]


class _Slice:
    """Reads a trace in memory; a class, since it must pickle."""

    def __init__(self, columns: Accesses) -> None:
        self.columns = columns

    def __call__(self, first: int, last: int) -> Accesses:
        return piece(self.columns, first, last)


@lru_cache(maxsize=8)
def _open(path: Path, stamp: tuple[int, int]) -> OwnFile:
    return OwnFile(path)


def own_file(path: Path) -> OwnFile | None:
    """Open a file of memvirt's own form; None if it is of another.

    Raises
    ------
    TraceError
        If it is damaged.
    """
    if not path.is_file():
        return None
    try:
        stamp = file_stamp(path)
        with path.open("rb") as opened:
            if opened.read(len(PARQUET)) != PARQUET or is_table(path):
                return None
    except OSError as wrong:
        raise TraceError(str(path), "", wrong.strerror or str(wrong)) from wrong
    return _open(path, stamp)


def _long_file(path: Path, name: str | None, fetches: bool) -> OwnFile | None:
    """The file, where it is in memvirt's own form and too long to be held."""
    file = own_file(path) if name in (None, "parquet") else None
    if file is None:
        return None
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
        source = Source(file.vpn, file.accesses, file.read, file.asid)
        return Stored(source, file.header.counts["fetches"] > 0, *_said(file.header.about))
    recording = read_cached(path, name, fetches)
    columns = recording.accesses
    source = Source(recording.vpn, columns.page.size, _Slice(columns), recording.asid)
    return Stored(source, fetches and bool((columns.line & FETCH).any()), *_said(recording.about))


def _said(about: dict[str, Any]) -> tuple[str, list[str]]:
    notes = about.get("notes")
    return str(about.get("unfit") or ""), list(map(str, notes)) if isinstance(notes, list) else []
