"""Reading trace files of any format."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.digest import hash_file
from memvirt.errors import TraceError
from memvirt.types import CHUNK, FETCH, LINE_MASK, Accesses
from memvirt.workload.batch import Options, checked, whole
from memvirt.workload.own import FLAGS, OwnWriter
from memvirt.workload.sniff import choose
from memvirt.workload.stream import open_stream


class Recording(NamedTuple):
    """A trace in memory.

    Attributes
    ----------
    vpn : (p,) uint64
        Pages that are touched, ascending.
    accesses : Accesses
    about : dict
        What is known of the recording: command, tool.
    """

    vpn: NDArray[np.uint64]
    accesses: Accesses
    about: dict[str, Any]


def from_addresses(address: NDArray[np.uint64], what: NDArray[Any], gap: NDArray[np.int64], about: dict[str, Any]) -> Recording:
    """Make a recording of byte addresses; a gap beyond 255 is carried over to the accesses that follow.

    ``what`` is 0 for a load, 1 (or true) for a store, 2 for an instruction fetch.
    """
    vpn, page = np.unique(address >> np.uint64(12), return_inverse=True)
    line = (address >> np.uint64(6) & np.uint64(63)).astype(np.uint8) | FLAGS[np.asarray(what, np.uint8)]
    small = np.minimum(gap, 255)
    rest = 0
    for place in np.flatnonzero(gap > 255):
        rest, at = int(gap[place]) - 255, int(place) + 1
        while rest and at < small.size:
            room = min(rest, 255 - int(small[at]))
            small[at] += room
            rest, at = rest - room, at + 1
    return Recording(vpn, Accesses(page.astype(np.uint32), line, small.astype(np.uint8)), about)


def without_fetches(recording: Recording) -> Recording:
    """Leave instruction fetches out, and pages that nothing else touches; instructions count to the access that follows."""
    fetch = (recording.accesses.line & FETCH) != 0
    if not fetch.any():
        return recording
    keep = np.flatnonzero(~fetch)
    page, line, gap = recording.accesses
    if keep.size == 0:
        return Recording(recording.vpn[:0], Accesses(page[:0], line[:0], gap[:0]), recording.about)
    starts = np.concatenate([[0], keep[:-1] + 1])
    ends = np.add.reduceat(gap.astype(np.int64), starts)
    ends[-1] = int(gap[starts[-1] : keep[-1] + 1].astype(np.int64).sum())
    address = recording.vpn[page[keep]] << np.uint64(12) | (line[keep] & np.uint8(63)).astype(np.uint64) << np.uint64(6)
    return from_addresses(address, line[keep] >> 7, ends, recording.about)


def read_file(
    path: Path,
    name: str | None = None,
    limit: int | None = None,
    fetches: bool = False,
    mask: int | None = None,
    options: Options | None = None,
) -> Recording:
    """Read a trace file of any format.

    Parameters
    ----------
    path : Path
        May be compressed, or `STDIN`.
    name : str, optional
        The format; by default the content tells it.
    limit : int, optional
        Keep so many accesses.
    fetches : bool
        Keep instruction fetches, if there are any.
    mask : int, optional
        Bits of an address that count; the highest is repeated above.
    options : Options, optional
        For the format's reader.

    Raises
    ------
    TraceError
        If it is missing, empty, truncated or malformed, or no format's, with its name and the place in it.
    ConfigError
        If there is no format of the given name.
    """
    with open_stream(path) as stream:
        module = choose(stream, name)
        if getattr(module, "OWN", False):
            recording: Recording = module.read(stream, limit)
        else:
            batches = module.read(stream, (options or Options())._replace(fetches=fetches))
            columns = whole(checked(batches, str(path), mask, limit))
            about = {"source": path.name, "format": module.__name__.rpartition(".")[2], "notes": stream.notes or None}
            recording = from_addresses(*columns[:3], about)
    if not fetches:
        recording = without_fetches(recording)
    if recording.accesses.page.size == 0:
        raise TraceError(str(path), "", "holds no memory access")
    return recording


@lru_cache(maxsize=4)
def _read_cached(path: Path, name: str | None, fetches: bool, stamp: tuple[int, int]) -> Recording:
    return read_file(path, name, fetches=fetches)


def read_cached(path: Path, name: str | None = None, fetches: bool = False) -> Recording:
    """As `read_file`, remembering the last few files while they don't change."""
    if not path.is_file():
        return read_file(path, name, fetches=fetches)
    status = path.stat()
    return _read_cached(path, name, fetches, (status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=64)
def _digest(path: Path, stamp: tuple[int, int]) -> str:
    return hash_file(path)


def file_digest(path: Path) -> str:
    """Hash of a file's bytes.

    Raises
    ------
    TraceError
        If it can't be read.
    """
    if not path.is_file():
        read_file(path)
    try:
        status = path.stat()
        return _digest(path, (status.st_mtime_ns, status.st_size))
    except OSError as wrong:
        raise TraceError(str(path), "", wrong.strerror or str(wrong)) from wrong


def write_own(recording: Recording, path: Path) -> None:
    """Write the package's own form, whole or not at all.

    Raises
    ------
    TraceError
        If the place can't be written.
    """
    page, line, gap = recording.accesses
    with OwnWriter(path, recording.about) as out:
        for first in range(0, page.size, CHUNK):
            piece = slice(first, first + CHUNK)
            address = recording.vpn[page[piece]] << np.uint64(12) | (line[piece] & LINE_MASK).astype(np.uint64) << np.uint64(6)
            what = (line[piece] >> 7) | (line[piece] & FETCH) >> 5
            out.add(address, what, gap[piece].astype(np.int64))
