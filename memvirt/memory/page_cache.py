"""A guest's page cache: pages of files, which it has on its disk as well and drops when it needs memory.

Linux's flusher wakes every 5 s and writes what has been dirty for 30 s, short of memory or not (`dirty_writeback_centisecs`,
`dirty_expire_centisecs`). So a page that wasn't written for as long is clean, and goes without a write; a page that was is written
first. What the flusher writes, and the first read of a page, a life does with memory enough as well: they take no time here. A page
that comes back after it was dropped is read from the disk, and the access waits.

Which kind goes next, a file's page or a program's own, is as in Linux (mm/vmscan.c): files' pages, as long as none has come back
among the last 32 that the guest gave up (`cache_trim_mode`; a round of reclaim is 32 pages, SWAP_CLUSTER_MAX); else each kind by
its number, and the more the less it cost of late (`get_scan_count`, `calculate_pressure_balance`). A page costs when it comes back
and when it must be written (mm/swap.c, `lru_note_cost`). TMO (Weiner et al., ASPLOS'22) is where Linux has that from. Assumed:
there is one list of files' pages, in the order of their use, where Linux tells active ones from inactive ones.
"""

from __future__ import annotations

import numpy as np

from memvirt.counters import Counter
from memvirt.jit import inner, inner_apart
from memvirt.memory.state import Now, World
from memvirt.typing import Int

WAKES_NS = 5e9  #: from one of the flusher's looks to the next
EXPIRED = 7  #: looks until a page that is written now will have been dirty for 30 s at one of them
LOOKS = 0x7FFF  #: numbers of looks, which go round
ROUND = 32  #: pages that are given up at a time
SWAPPINESS = 60.0  #: vm.swappiness, out of 200

COUNTERS = (
    Counter("cache_pages", "pages", doc="of files in the guest's page cache", epochs="mean"),
    Counter("cache_dropped_pages", "pages", doc="of its page cache that the guest gave up"),
    Counter("cache_written_pages", "pages", doc="those of them that it had to write to its disk first"),
    Counter("cache_read_pages", "pages", doc="read from the guest's disk, since it had given them up"),
)


@inner
def look_at(time_ns: float) -> Int:
    """Number of the flusher's last look."""
    return np.int64(time_ns / WAKES_NS) & LOOKS


@inner
def note_write(world: World, page: Int, time_ns: float) -> None:
    """Note when a file's page (its larger page) was written last."""
    world.pages[world.pages[page].first].written = look_at(time_ns)


@inner
def is_clean(world: World, now: Now, page: Int) -> bool:
    """Whether a page (its larger page) is a file's, and no other than on the guest's disk."""
    mapped = world.pages[world.pages[page].first]
    if not mapped.file:
        return False
    written = np.int64(mapped.written)
    return written < 0 or (look_at(now.time_ns) - written) & LOOKS >= EXPIRED  # type: ignore[return-value]


@inner
def has_spare_files(world: World, vm: Int) -> bool:
    """Whether a guest has files' pages, and none came back since it gave up the last few pages."""
    return world.vms[vm].files > 0 and world.vms[vm].came_back == 0  # type: ignore[return-value]


@inner
def note_cost(world: World, vm: Int, of_files: Int, own: Int) -> None:
    """Note pages that came back, or that were written to be given up; both kinds' costs fade together."""
    guest = world.vms[vm]
    guest.file_cost += of_files
    guest.own_cost += own
    if guest.file_cost + guest.own_cost > guest.used / 4:
        guest.file_cost /= 2
        guest.own_cost /= 2


@inner_apart
def file_goes(world: World, vm: Int) -> bool:
    """Whether the next page that a guest gives up is a file's."""
    guest = world.vms[vm]
    if guest.files == 0:
        return False
    if has_spare_files(world, vm):
        return True
    guest.came_back -= 1
    total = guest.file_cost + guest.own_cost
    own = (guest.used - guest.files) * SWAPPINESS / (total + guest.own_cost + 1)
    files = guest.files * (200 - SWAPPINESS) / (total + guest.file_cost + 1)
    guest.turn += own / (own + files)
    if guest.turn < 1:
        return True
    guest.turn -= 1
    return False
