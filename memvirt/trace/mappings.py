"""What the kernel tells of a process's memory: mappings and their accessed pages (smaps), and pages written (PAGEMAP_SCAN)."""

from __future__ import annotations

import fcntl
import re
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FIELDS = re.compile(rb"^([0-9a-f]+)-([0-9a-f]+) (\S{4}).*|^Rss: +(\d+)|^Referenced: +(\d+)|^VmFlags: (.*)", re.MULTILINE)
SPECIAL = {b"io", b"pf", b"lo", b"ht"}  #: device memory, locked and huge-page mappings take no advice
SCAN = 0xC0606610  #: ioctl of /proc/PID/pagemap, Linux 6.7 (Documentation/admin-guide/mm/pagemap.rst)
WRITE_PROTECT = 1  #: what is found, again
WRITTEN, PRESENT, ZERO_PAGE = 1 << 1, 1 << 3, 1 << 5
MOST_REGIONS = 1 << 14


class Mapping(NamedTuple):
    """A piece of a process's memory, as the kernel keeps it.

    Attributes
    ----------
    start, end : int
        Addresses.
    writable : bool
    resident, accessed : int
        4K pages.
    """

    start: int
    end: int
    writable: bool
    resident: int
    accessed: int

    @property
    def pages(self) -> int:
        """All of them."""
        return (self.end - self.start) >> 12


def read_mappings(pid: int) -> list[Mapping]:
    """Mappings that take advice, ascending; empty if the process has ended."""
    try:
        text = Path(f"/proc/{pid}/smaps").read_bytes()
    except (OSError, ProcessLookupError):
        return []
    found = []
    start = end = resident = accessed = 0
    writable = False
    for match in FIELDS.finditer(text):
        if match[1]:
            start, end, writable = int(match[1], 16), int(match[2], 16), match[3][1:2] == b"w"
        elif match[4]:
            resident = int(match[4]) >> 2
        elif match[5]:
            accessed = int(match[5]) >> 2
        elif match[6] and not SPECIAL & {*match[6].split()} and end < 1 << 63:
            found.append(Mapping(start, end, writable, resident, accessed))
    return found


def joined(mappings: list[Mapping]) -> list[tuple[int, int]]:
    """Ranges of addresses without a gap."""
    ranges: list[tuple[int, int]] = []
    for each in mappings:
        if ranges and ranges[-1][1] == each.start:
            ranges[-1] = ranges[-1][0], each.end
        else:
            ranges.append((each.start, each.end))
    return ranges


def forget_accesses(pid: int) -> None:
    """Clear the accessed bits of all pages, those shared with other processes too."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_bytes(b"1")
    except OSError:
        return


def take_written(pid: int, ranges: list[tuple[int, int]]) -> NDArray[np.int64] | None:
    """Page numbers written since the last call, ascending; None where the kernel can't tell (before Linux 6.7)."""
    regions = np.zeros((MOST_REGIONS, 3), np.uint64)
    pages = [np.zeros(0, np.int64)]
    try:
        with Path(f"/proc/{pid}/pagemap").open("rb", buffering=0) as file:
            for start, end in ranges:
                while start < end:
                    what = WRITTEN | PRESENT | ZERO_PAGE
                    fields = [96, WRITE_PROTECT, start, end, 0, regions.ctypes.data, MOST_REGIONS, 0]
                    argument = bytearray(struct.pack("=12Q", *fields, ZERO_PAGE, what, 0, WRITTEN))
                    count = fcntl.ioctl(file, SCAN, argument)
                    found = (regions[:count, :2] >> np.uint64(12)).astype(np.int64)
                    pages += [np.arange(first, last) for first, last in found.tolist()]
                    (stopped,) = struct.unpack_from("=Q", argument, 32)
                    start = stopped if stopped > start else end
    except OSError:
        return None
    return np.concatenate(pages)
