"""Reading trace files of any format."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from memvirt.digest import file_stamp, hash_file
from memvirt.errors import TraceError
from memvirt.types import CHUNK, FETCH, LINE_MASK, PAGE_BITS, Accesses
from memvirt.workload.batch import Batch, Options, checked, whole
from memvirt.workload.own import FLAGS, OwnWriter
from memvirt.workload.reach import VPN_BITS
from memvirt.workload.sniff import choose
from memvirt.workload.stream import Stream, open_stream

IN_MEMORY = 1 << 24  #: accesses of a trace that is held as a whole


class Recording(NamedTuple):
    """A trace in memory.

    Attributes
    ----------
    vpn : (p,) uint64
        Pages that are touched, ascending within an address space.
    accesses : Accesses
    about : dict
        What is known of the recording: command, tool.
    asid : (p,) uint16
        Address space of each page, ascending.
    """

    vpn: NDArray[np.uint64]
    accesses: Accesses
    about: dict[str, Any]
    asid: NDArray[np.uint16]


def from_addresses(
    address: NDArray[np.uint64],
    what: NDArray[Any],
    gap: NDArray[np.int64],
    about: dict[str, Any],
    space: NDArray[Any] | None = None,
) -> Recording:
    """Make a recording of byte addresses; a gap beyond 255 is carried over to the accesses that follow.

    ``what`` is 0 for a load, 1 (or true) for a store, 2 for an instruction fetch; ``space`` the address space of each access.
    """
    key = address >> np.uint64(PAGE_BITS)
    if space is not None:
        key = key | space.astype(np.uint64) << np.uint64(VPN_BITS)
    known, page = np.unique(key, return_inverse=True)
    vpn, asid = known & np.uint64((1 << VPN_BITS) - 1), (known >> np.uint64(VPN_BITS)).astype(np.uint16)
    line = (address >> np.uint64(6) & np.uint64(63)).astype(np.uint8) | FLAGS[np.asarray(what, np.uint8)]
    small = np.minimum(gap, 255)
    rest = 0
    for place in np.flatnonzero(gap > 255):
        rest, at = int(gap[place]) - 255, int(place) + 1
        while rest and at < small.size:
            room = min(rest, 255 - int(small[at]))
            small[at] += room
            rest, at = rest - room, at + 1
    return Recording(vpn, Accesses(page.astype(np.uint32), line, small.astype(np.uint8)), about, asid)


def without_fetches(recording: Recording) -> Recording:
    """Leave instruction fetches out, and pages that nothing else touches; instructions count to the access that follows."""
    fetch = (recording.accesses.line & FETCH) != 0
    if not fetch.any():
        return recording
    keep = np.flatnonzero(~fetch)
    page, line, gap = recording.accesses
    if keep.size == 0:
        return Recording(recording.vpn[:0], Accesses(page[:0], line[:0], gap[:0]), recording.about, recording.asid[:0])
    starts = np.concatenate([[0], keep[:-1] + 1])
    ends = np.add.reduceat(gap.astype(np.int64), starts)
    ends[-1] = int(gap[starts[-1] : keep[-1] + 1].astype(np.int64).sum())
    address = recording.vpn[page[keep]] << np.uint64(12) | (line[keep] & np.uint8(63)).astype(np.uint64) << np.uint64(6)
    return from_addresses(address, line[keep] >> 7, ends, recording.about, recording.asid[page[keep]])


def _few(batches: Iterator[Batch], name: str) -> Iterator[Batch]:
    """Batches of no more accesses than are held in memory."""
    accesses = 0
    for batch in batches:
        accesses += batch.address.size
        if accesses > IN_MEMORY:
            raise TraceError(name, "", f"holds more than {IN_MEMORY:,} accesses: import it, and they are read piece by piece")
        yield batch


def _about(path: Path, module: ModuleType, stream: Stream) -> dict[str, Any]:
    """What an imported trace says of its origin."""
    about = {"source": path.name, "format": module.__name__.rpartition(".")[2]}
    unfit = stream.unfit or getattr(module, "UNFIT", "")
    return {**about, **({"notes": stream.notes} if stream.notes else {}), **({"unfit": unfit} if unfit else {})}


def import_file(
    path: Path,
    output: Path,
    name: str | None = None,
    limit: int | None = None,
    fetches: bool = False,
    mask: int | None = None,
    options: Options | None = None,
) -> None:
    """Write a trace file of any format in the package's own form, as `read_file` reads it, never holding more than a block.

    Raises
    ------
    TraceError, ConfigError
        As `read_file`; or if the output can't be written. There is none then.
    """
    with open_stream(path) as stream:
        module = choose(stream, name)
        own = getattr(module, "OWN", False)
        if not own:
            batches = checked(module.read(stream, (options or Options())._replace(fetches=fetches)), str(path), mask, limit)
            with OwnWriter(output) as out:
                for batch in batches:
                    out.add(batch.address, batch.what, batch.gap, batch.space)
                out.about.update(_about(path, module, stream))
                if not out.counts["accesses"]:
                    raise TraceError(str(path), "", "holds no memory access")
    if own:
        write_own(read_file(path, name, limit, fetches), output)


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
            batches = checked(module.read(stream, (options or Options())._replace(fetches=fetches)), str(path), mask, limit)
            address, what, gap, space = whole(_few(batches, str(path)))
            recording = from_addresses(address, what, gap, _about(path, module, stream), space)
    if not fetches:
        recording = without_fetches(recording)
    if recording.accesses.page.size == 0:
        raise TraceError(str(path), "", "holds no memory access")
    return recording


def find_page(path: Path, name: str | None, vpn: int) -> tuple[int, str]:
    """First address of a page that a trace touches, and its place, as an error says it; the own form says pages alone."""
    with open_stream(path) as stream:
        module = choose(stream, name)
        for batch in () if getattr(module, "OWN", False) else module.read(stream, Options()):
            hits = np.flatnonzero(batch.address >> np.uint64(PAGE_BITS) == vpn)
            if hits.size:
                return int(batch.address[hits[0]]), str(batch.where(int(hits[0])))
    return vpn << PAGE_BITS, ""


def _refuse(path: Path) -> NoReturn:
    """Say why what isn't a file is no workload, which is read more than once."""
    kind = (
        "is a folder: import it"
        if path.is_dir()
        else "is a pipe or a device: import it"
        if path.exists()
        else "there is no such file"
    )
    raise TraceError(str(path), "", kind)


@lru_cache(maxsize=4)
def _read_cached(path: Path, name: str | None, fetches: bool, stamp: tuple[int, int]) -> Recording:
    return read_file(path, name, fetches=fetches)


def read_cached(path: Path, name: str | None = None, fetches: bool = False) -> Recording:
    """As `read_file`, remembering the last few files while they don't change."""
    if not path.is_file():
        _refuse(path)
    return _read_cached(path, name, fetches, file_stamp(path))


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
        _refuse(path)
    try:
        return _digest(path, file_stamp(path))
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
            out.add(address, what, gap[piece].astype(np.int64), recording.asid[page[piece]])
