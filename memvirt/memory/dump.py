"""A real machine's layout: dumps of page tables fix where pages and tables are, in the guest and in the host.

A dump is text: how many entries there are, then for each mapped page a line of hexadecimal numbers ``VA,PE1,PE2,PE3,PE4,PA``: its
address, the frames of the tables from the root down, and its own frame. The host's is keyed by guest-physical address.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.digest import file_stamp
from memvirt.errors import ConfigError, TraceError
from memvirt.memory.config import Guest, Host, MemoryConfig
from memvirt.memory.layout import radix_tables
from memvirt.types import LEVEL_BITS, NONE, PAGE_BITS, Event, Machine, Tables
from memvirt.workload.stream import open_stream

FIELDS, LEVELS = 6, 4
MOST_FRAMES = 1 << 26  #: that a dump may reach to: 256 GiB
BLOCK, LONGEST = 1 << 22, 1 << 10  #: bytes of a dump's text that are read at a time, and of a line
VPN_MASK = (1 << LEVEL_BITS * LEVELS) - 1
#: What may happen where a dump says what is mapped.
CALM = (Event.SWITCH, Event.PREEMPT, Event.FLUSH)


class Dump(NamedTuple):
    """A page table.

    Attributes
    ----------
    number : (n,) int64
        Pages, ascending.
    tables : (n, 4) int64
        Frame of the table of each level, level 0 the one whose entries map 4 KiB.
    frame : (n,) int64
    """

    number: NDArray[np.int64]
    tables: NDArray[np.int64]
    frame: NDArray[np.int64]


def read_dump(path: Path) -> Dump:
    """Read a dump.

    Raises
    ------
    TraceError
        If it isn't one, or is cut short.
    """
    name = str(path)
    parts, count = [np.empty((0, FIELDS), np.uint64)], 0
    with open_stream(path) as stream:
        rest, most, ended = b"", -1, False
        while not ended:
            block = stream.read(BLOCK)
            ended = len(block) < BLOCK
            whole, _, rest = (rest + block, b"", b"") if ended else (rest + block).rpartition(b"\n")
            if most < 0:
                first, _, whole = whole.partition(b"\n")
                if not first.strip().isdigit() or len(first) > 20:
                    raise TraceError(name, "line 1", "must be how many entries follow")
                most = int(first)
            if len(rest) > LONGEST:
                raise TraceError(name, f"entry {count + 1}", "is longer than an entry can be")
            parts.append(_parsed(whole.split(), count, name))
            count += parts[-1].shape[0]
            if count > most:
                raise TraceError(name, "", f"has more entries than the {most:,} that its first line says")
    if count < most:
        raise TraceError(name, "", f"has {count:,} entries, and its first line says {most:,}")
    values = np.concatenate(parts)
    if not values.size:
        raise TraceError(name, "", "maps nothing")
    for column in range(1, FIELDS):
        wrong = np.flatnonzero((values[:, column] >= MOST_FRAMES) | ((values[:, column] == 0) & (column < FIELDS - 1)))
        if wrong.size:
            entry = int(wrong[0])
            why = f"names frame {int(values[entry, column]):#x}: tables are from 1 on, and frames below {MOST_FRAMES:#x}"
            raise TraceError(name, f"entry {entry + 1}", why)
    pages: NDArray[np.int64] = (values[:, 0] >> np.uint64(PAGE_BITS)).astype(np.int64) & VPN_MASK
    order = np.argsort(pages, kind="stable")
    number, frames = pages[order], values[order].astype(np.int64)
    if (np.diff(number) == 0).any():
        twice = int(number[np.flatnonzero(np.diff(number) == 0)[0]])
        raise TraceError(name, "", f"maps {twice << PAGE_BITS:#x} twice")
    return Dump(number, frames[:, LEVELS:0:-1], frames[:, FIELDS - 1])


def _parsed(lines: list[bytes], before: int, name: str) -> NDArray[np.uint64]:
    try:
        return np.array([int(word, 16) for line in lines for word in _words(line)], np.uint64).reshape(-1, FIELDS)
    except (ValueError, OverflowError):
        bad = next(place for place, line in enumerate(lines) if not _is_entry(line))
        said = lines[bad][:60].decode(errors="replace")
        why = f"is no VA,PE1,PE2,PE3,PE4,PA in hexadecimal: {said!r}"
        raise TraceError(name, f"entry {before + bad + 1}", why) from None


def _words(line: bytes) -> list[bytes]:
    words = line.split(b",")
    if len(words) != FIELDS:
        raise ValueError
    return words


def _is_entry(line: bytes) -> bool:
    try:
        return all(0 <= int(word, 16) < 1 << 64 for word in _words(line))
    except ValueError:
        return False


def _entries(dump: Dump, number: NDArray[np.int64], key: str, path: str | None) -> NDArray[np.int64]:
    """Place of each page in a dump."""
    place = np.minimum(np.searchsorted(dump.number, number), dump.number.size - 1)
    missing = np.flatnonzero(dump.number[place] != number)
    if missing.size:
        raise ConfigError(key, path, f"doesn't map {int(number[missing[0]]) << PAGE_BITS:#x}, which is touched")
    return place


def check_dumps(guest: Guest, host: Host | None, vms: int, nodes: int) -> None:
    """Refuse dumps that can't be read, and what they can't be beside.

    Parameters
    ----------
    guest : Guest
    host : Host or None
        None where there is one dimension.
    vms, nodes : int

    Raises
    ------
    ConfigError, TraceError
    """
    if guest.page_table is None:
        if host is not None and host.page_table is not None:
            raise ConfigError("host.page_table", host.page_table, "needs the guest's as well: guest.page_table")
        return
    wanted: dict[str, tuple[object, object]] = {
        "guest.page_size": (guest.page_size, "4K"),
        "guest.levels": (guest.levels, LEVELS),
        "guest.prefault": (bool(guest.prefault), True),
        "vms.count": (vms, 1),
        "numa.nodes": (nodes, 1),
    }
    if host is not None:
        wanted |= {"host.page_size": (host.page_size, "4K"), "host.levels": (host.levels, LEVELS)}
        wanted |= {"host.table_page_size": (host.table_page_size or "4K", "4K")}
    for key, (value, right) in wanted.items():
        if value != right:
            must = "true" if right is True else right
            raise ConfigError(key, value, f"must be {must} where guest.page_table says what is mapped where")
    for path in (guest.page_table, host.page_table if host is not None else None):
        if path is not None:
            known_dump(path)


def known_dump(path: str) -> Dump:
    """As `read_dump`, remembered while the file doesn't change."""
    file = Path(path)
    return _known(file, file_stamp(file))


@lru_cache(maxsize=4)
def _known(path: Path, stamp: tuple[int, int]) -> Dump:
    return read_dump(path)


def as_dumped(machine: Machine, config: MemoryConfig) -> Machine:
    """Put pages and tables where the dumps say; without the host's, the host maps guest frames to themselves.

    Raises
    ------
    ConfigError
        If a dump lacks a page that is touched, or something was mapped or taken away in the run.
    """
    if config.guest.page_table is None:
        return machine
    stirred = set(machine.frames.changes["kind"].tolist()) - set(CALM)
    if stirred:
        what = Event(min(stirred)).name
        raise ConfigError("guest.page_table", config.guest.page_table, f"fixes the layout, and the run changes it ({what})")
    if np.unique(machine.space.asid).size > 1:
        raise ConfigError("guest.page_table", config.guest.page_table, "is of one address space, and the trace has several")
    dump = known_dump(config.guest.page_table)
    number = machine.space.vpn.astype(np.int64)
    place = _entries(dump, number, "guest.page_table", config.guest.page_table)
    tables = machine.frames.guest
    guest = np.full(tables.frames.shape, NONE, np.uint32)
    guest[tables.row] = dump.tables[place]
    odd = np.flatnonzero((guest[tables.row] != dump.tables[place]).any(axis=1))
    if odd.size:
        what = f"says of the region of {int(number[odd[0]]) << PAGE_BITS:#x} that it has two page tables"
        raise ConfigError("guest.page_table", config.guest.page_table, what)
    used = np.unique(np.concatenate([dump.frame[place], guest.ravel().astype(np.int64)]))
    count = (int(used[-1]) >> LEVEL_BITS) + 1 << LEVEL_BITS
    hfn, host = _behind(used, count, config)
    frames = machine.frames._replace(
        frame_base=np.array([0, count], np.int64),
        guest=Tables(tables.row, guest),
        host=host,
        frame_of_page=dump.frame[place].astype(np.uint32),
        hfn_of_frame=hfn,
        order_of_frame=np.zeros(count, np.uint8),
        host_frames=_past(hfn, host, guest if config.dimensions == 1 else None),
    )
    return machine._replace(frames=frames, nodes=machine.nodes._replace(node_of_hfn=np.zeros(frames.host_frames, np.uint8)))


def _behind(used: NDArray[np.int64], count: int, config: MemoryConfig) -> tuple[NDArray[np.uint32], Tables]:
    """Host frame of each guest frame, and the host's tables."""
    row = np.arange(count, dtype=np.uint32) >> np.uint32(LEVEL_BITS)
    hfn = np.full(count, NONE, np.uint32)
    hfn[used] = used
    if config.dimensions == 1:
        return hfn, Tables(row, np.zeros((count >> LEVEL_BITS, 0), np.uint32))
    frames = np.full((count >> LEVEL_BITS, LEVELS), NONE, np.uint32)
    if config.host.page_table is None:
        regions = np.unique(used >> LEVEL_BITS)
        table, _ = radix_tables([np.zeros(regions.size, np.int64)], regions, LEVELS)
        frames[regions] = count + table
        return hfn, Tables(row, frames)
    dump = known_dump(config.host.page_table)
    place = _entries(dump, used, "host.page_table", config.host.page_table)
    hfn[used] = dump.frame[place]
    frames[used >> LEVEL_BITS] = dump.tables[place]
    return hfn, Tables(row, frames)


def _past(hfn: NDArray[np.uint32], host: Tables, guest: NDArray[np.uint32] | None) -> int:
    """One past the last host frame in use."""
    there = [hfn, host.frames.ravel(), *([] if guest is None else [guest.ravel()])]
    return 1 + max(int(each[each != NONE].max(initial=0)) for each in there)
