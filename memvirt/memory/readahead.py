"""Read-ahead: a page that comes from swap brings neighbours along, the more of them the more of the last ones were used.

After Linux's read-ahead in a process's address space, for drives that don't seek (mm/swap_state.c: `swap_vma_readahead`,
`swap_vma_ra_win`, `__swapin_nr_pages`); a VM's memory is one area of it. On drives that seek Linux takes neighbours on the drive
instead, which isn't modelled. What it reads lies in the swap cache until it is accessed, and is mapped then; here at once.
"""

from __future__ import annotations

import numpy as np

from memvirt.jit import inner, inner_apart
from memvirt.memory.state import World
from memvirt.typing import Int

MOST_HITS = 63  #: that are remembered (SWAP_RA_HITS_MAX)
FIRST_HITS = 4  #: taken for granted in the beginning (GET_SWAP_RA_VAL)
TABLE = 512  #: pages of a lowest-level table, beyond which it doesn't look


@inner
def note_hit(world: World, frame: Int) -> None:
    """Note the first access to a page that was read ahead."""
    read = world.frames[frame]
    guest = world.vms[read.vm]
    read.ahead = 0
    guest.ahead_last = frame
    guest.ahead_hits = min(guest.ahead_hits + 1, MOST_HITS)


@inner_apart
def window(world: World, frame: Int) -> tuple[Int, Int]:
    """Say from which guest frame to which (excluded) to read for a fault at one, and begin to count hits anew."""
    guest = world.vms[world.frames[frame].vm]
    last, hits = np.int64(guest.ahead_last), np.int64(guest.ahead_hits)
    pages = np.int64(1)
    if hits > 0:
        pages = np.int64(4)
        while pages < hits + 2:
            pages *= 2
    elif abs(frame - last) == 1:
        pages = np.int64(2)
    pages = max(min(pages, np.int64(world.rules[0].readahead)), np.int64(guest.ahead_window) // 2)
    guest.ahead_last, guest.ahead_window, guest.ahead_hits = frame, pages, 0
    first: Int = frame - (pages - 1) // 2
    if frame == last + 1:
        first = frame
    elif frame == last - 1:
        first = frame - pages + 1
    table = frame // TABLE * TABLE
    return np.int64(max(first, table)), np.int64(min(first + pages, table + TABLE))
