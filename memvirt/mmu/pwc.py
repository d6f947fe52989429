"""Page-walk caches: of each dimension and CPU, one small LRU cache a level above the lowest."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import kernel
from memvirt.mmu.caches import insert_first, reuse
from memvirt.mmu.config import Pwc as PwcConfig
from memvirt.mmu.port import PWC_HITS, Port
from memvirt.types import Event

FIRST_ROW, SWITCH, PREEMPT = np.int64(0), np.int64(Event.SWITCH), np.int64(Event.PREEMPT)
EMPTY = -1
SPACE_BITS = 45  #: a key is the address space above, the number of the entry below


class Pwc(NamedTuple):
    """All page-walk caches.

    Attributes
    ----------
    tags : (rows, ways) int64
        Keys, most recent first.
    row, sets, ways : (2, 6) int64
        By dimension and level: first row of CPU 0, geometry; 0 sets for none.
    cpu_rows : int
        Rows of one CPU.
    dmt : int
        1 for the rule of that name.
    flushes : (2,) int64
        Whether a switch of address space, and one of VM, drops entries, which then have no tag for it.
    """

    tags: NDArray[np.int64]
    row: NDArray[np.int64]
    sets: NDArray[np.int64]
    ways: NDArray[np.int64]
    cpu_rows: int
    dmt: int
    flushes: NDArray[np.int64]


def make_pwc(config: PwcConfig, cpus: int, on_switch: bool, on_preempt: bool) -> Pwc:
    """Empty page-walk caches, none at all if they are not enabled, and on which switches they are flushed."""
    flushes = np.array([on_switch, on_preempt], np.int64)
    row, sets, ways = (np.zeros((2, 6), np.int64) for _ in range(3))
    rows, widest = 0, 1
    for dimension, sizes in enumerate((config.guest, config.host)):
        for level, array in enumerate((sizes.pde, sizes.pdpte, sizes.pml4e, sizes.pml5e), start=1):
            if config.enabled and array.entries:
                wide = array.entries if array.ways == "full" else array.ways
                row[dimension, level], ways[dimension, level] = rows, wide
                sets[dimension, level] = array.entries // wide
                rows += array.entries // wide
                widest = max(widest, wide)
    tags = np.full((cpus * max(rows, 1), widest), EMPTY, np.int64)
    return Pwc(tags, row, sets, ways, max(rows, 1), int(config.rule == "dmt"), flushes)


@kernel
def pwc_row(pwc: Pwc, cpu: int, dimension: int, level: int, number: int) -> int:
    """Row of the set that holds an entry."""
    return cpu * pwc.cpu_rows + pwc.row[dimension, level] + number % pwc.sets[dimension, level]  # type: ignore[no-any-return]


@kernel
def keep_tag(pwc: Pwc, row: int, ways: int, tag: int) -> None:
    """Enter a tag as the most recent, over an invalid one if there is any."""
    used = 0
    while used < ways - 1 and pwc.tags[row, used] != EMPTY:
        used += 1
    insert_first(pwc.tags, row, used + 1, tag)


@kernel
def first_level(pwc: Pwc, port: Port, dimension: int, space: int, number: int, top: int, lowest: int) -> int:
    """Level at which a walk can begin: below the deepest cached entry, at ``top`` if none is cached."""
    cpu = port.now[0]
    begin = top
    for level in range(lowest + 1, top + 1):
        if pwc.sets[dimension, level] == 0:
            continue
        entry = number >> (9 * level)
        row = pwc_row(pwc, cpu, dimension, level, entry)
        tag = (space << SPACE_BITS) | entry
        if reuse(pwc.tags, row, pwc.ways[dimension, level], tag):
            if begin == top:
                begin = level - 1
                port.tally[PWC_HITS + dimension] += 1
            if not pwc.dmt:
                return begin
        elif pwc.dmt:
            keep_tag(pwc, row, pwc.ways[dimension, level], tag)
    return begin


@kernel
def keep_entry(pwc: Pwc, cpu: int, dimension: int, space: int, number: int, level: int) -> None:
    """Enter an upper-level entry that a walk has read."""
    if pwc.sets[dimension, level] == 0 or pwc.dmt:
        return
    entry = number >> (9 * level)
    row = pwc_row(pwc, cpu, dimension, level, entry)
    keep_tag(pwc, row, pwc.ways[dimension, level], (space << SPACE_BITS) | entry)


@kernel
def drop_rows(pwc: Pwc, begin: int, end: int, low: int, high: int) -> None:
    """Drop the entries of a range of address spaces in some rows."""
    for row in range(begin, end):
        for way in range(pwc.tags.shape[1]):
            tag = pwc.tags[row, way]
            if tag >= 0 and low <= tag >> SPACE_BITS < high:
                pwc.tags[row, way] = EMPTY


@kernel
def drop_spaces(pwc: Pwc, low: int, high: int) -> None:
    """Drop the entries of a range of address spaces on all CPUs (INVLPG drops those of its PCID)."""
    drop_rows(pwc, FIRST_ROW, pwc.tags.shape[0], low, high)


@kernel
def flush_on_switch(pwc: Pwc, port: Port, event: Any) -> None:
    """Drop what has no tag to outlive a SWITCH or PREEMPT: the VM's address spaces, or all, on that CPU.

    Guest-physical translations outlive both (Intel SDM vol. 3, section 30.4.3).
    """
    begin = np.int64(event.cpu) * pwc.cpu_rows
    if np.int64(event.kind) == SWITCH:
        if pwc.flushes[0]:
            drop_rows(pwc, begin, begin + pwc.cpu_rows, port.space_base[event.vm], port.space_base[event.vm + 1])
    elif np.int64(event.kind) == PREEMPT:
        if pwc.flushes[1]:
            drop_rows(pwc, begin, begin + pwc.cpu_rows, port.space_base[0], port.space_base[-1])
