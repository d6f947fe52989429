"""Walk caches of each CPU: page-walk caches, one small LRU cache a dimension and level above the lowest, and the nested TLB.

Under the rule ``unified`` all of them are one array.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.by_address import by_address
from memvirt.jit import inner
from memvirt.mmu.caches import reuse, take
from memvirt.mmu.config import Mmu, PwcArray
from memvirt.mmu.port import (
    HOST_SPACE,
    NESTED_TLB_HITS,
    NESTED_TLB_LOOKUPS,
    PWC_HITS,
    PWC_LOOKUPS,
    Port,
    count_hit,
    count_lookup,
)
from memvirt.types import PREEMPT, SWITCH
from memvirt.typing import Int

if TYPE_CHECKING:
    from memvirt.mmu.mode import Setup

FIRST_ROW = np.int64(0)
GUEST, HOST, LOWEST = np.int64(0), np.int64(1), np.int64(0)
EMPTY = -1
SPACE_BITS = 45  #: a key is the address space above, the number of the entry below
LEVEL_BITS = 40  #: between the two, the level: an entry's number above the lowest level has 36 bits (57 - 12 - 9)
EVERY_LEVEL = 0x3F
LOWEST_ONLY = 0


@by_address
class Pwc(NamedTuple):
    """All walk caches, and which levels a walk reads at all.

    Attributes
    ----------
    tags : (rows, ways) int64
        Keys, most recent first.
    row, sets, ways : (2, 6) int64
        By dimension and level: first row of CPU 0, geometry; 0 sets for none. Level 0 of the host's is the nested TLB, of
        the guest's the cache of single entries (rule ``entries``). Places may share their rows (rule ``unified``).
    cpu_rows : int
        Rows of one CPU.
    dmt : int
        1 for the rule of that name.
    flushes : (2,) int64
        Whether a switch of address space, and one of VM, drops entries, which then have no tag for it.
    reads : (2,) int64
        By dimension, a bit for each level whose entries a walk reads; the lowest is always read.
    cached : int
        Dimensions whose entries the cache of single entries holds.
    """

    tags: NDArray[np.int64]
    row: NDArray[np.int64]
    sets: NDArray[np.int64]
    ways: NDArray[np.int64]
    cpu_rows: int
    dmt: int
    flushes: NDArray[np.int64]
    reads: NDArray[np.int64]
    cached: int


LEVELS = ("pde", "pdpte", "pml4e", "pml5e")  #: names of the caches, from level 1 on


def _arrays(config: Mmu) -> dict[tuple[int, int], PwcArray]:
    """Each cache that there is, by dimension and level."""
    pwc, arrays = config.pwc, {}
    if pwc.enabled and pwc.rule == "entries":
        arrays[0, 0] = pwc.entries
    elif pwc.enabled and pwc.rule == "unified":
        places = [(dimension, level) for dimension in range(pwc.dimensions) for level in range(1, len(LEVELS) + 1)]
        return dict.fromkeys([(1, 0), *places] if pwc.dimensions == 2 else places, pwc.entries) if pwc.entries.entries else {}
    elif pwc.enabled:
        for dimension, sizes in list(enumerate((pwc.guest, pwc.host)))[: pwc.dimensions]:
            arrays |= {(dimension, level): getattr(sizes, name) for level, name in enumerate(LEVELS, 1)}
    arrays[1, 0] = config.nested_tlb
    return {place: array for place, array in arrays.items() if array.entries}


def make_pwc(setup: Setup, tagged: bool = True, guest: int = EVERY_LEVEL, host: int = EVERY_LEVEL) -> Pwc:
    """Empty walk caches.

    Parameters
    ----------
    setup : Setup
    tagged : bool
        Whether the mode's address spaces have tags at all, where the TLBs' do.
    guest, host : int
        A bit for each level above the lowest whose entries a walk reads.
    """
    config, cpus = setup.config, setup.schedule.cpus
    flushes = np.array([not (tagged and setup.pcid), not setup.vpid], np.int64)
    row, sets, ways = (np.zeros((2, 6), np.int64) for _ in range(3))
    rows, widest = 0, 1
    unified = config.pwc.enabled and config.pwc.rule == "unified"
    for place, array in _arrays(config).items():
        wide = array.entries if array.ways == "full" else array.ways
        row[place], ways[place] = 0 if unified else rows, wide
        sets[place] = array.entries // wide
        rows = sets[place] if unified else rows + sets[place]
        widest = max(widest, wide)
    rows = int(rows)
    tags = np.full((cpus * max(rows, 1), widest), EMPTY, np.int64)
    rule = int(config.pwc.rule == "dmt")
    return Pwc(tags, row, sets, ways, max(rows, 1), rule, flushes, np.array([guest, host], np.int64), config.pwc.dimensions)


@inner
def is_read(pwc: Pwc, dimension: Int, level: Int, lowest: Int) -> bool:
    """Whether a walk reads the entry at a level."""
    return level == lowest or (pwc.reads[dimension] >> level) & 1 == 1


@inner
def pwc_row(pwc: Pwc, cpu: Int, dimension: Int, level: Int, number: Int) -> Int:
    """Row of the set that holds an entry."""
    return cpu * pwc.cpu_rows + pwc.row[dimension, level] + number % pwc.sets[dimension, level]  # type: ignore[no-any-return]


@inner
def entry_tag(space: Int, level: Int, entry: Int) -> Int:
    """Tag of an entry above the lowest level."""
    return (space << SPACE_BITS) | (level << LEVEL_BITS) | entry


@inner
def first_level(pwc: Pwc, port: Port, dimension: Int, space: Int, number: Int, top: Int, lowest: Int) -> Int:
    """Level at which a walk can begin: below the deepest cached entry, at ``top`` if none is cached."""
    cpu = port.context[0]
    begin, looked = top, False
    for level in range(lowest + 1, top + 1):
        if pwc.sets[dimension, level] == 0 or not is_read(pwc, dimension, level, lowest):
            continue
        if not looked:  # the levels' caches are looked up beside each other
            looked = True
            count_lookup(port, PWC_LOOKUPS + dimension)
        entry = number >> (9 * level)
        row = pwc_row(pwc, cpu, dimension, level, entry)
        tag = entry_tag(space, level, entry)
        ways = pwc.ways[dimension, level]
        if take(pwc.tags, row, ways, tag, EMPTY) if pwc.dmt else reuse(pwc.tags, row, ways, tag):
            if begin == top:
                begin = level - 1
                count_hit(port, PWC_HITS + dimension)
            if not pwc.dmt:
                return begin
    return begin


@inner
def keep_entry(pwc: Pwc, cpu: Int, dimension: Int, space: Int, number: Int, level: Int) -> None:
    """Enter an upper-level entry that a walk has read."""
    if pwc.sets[dimension, level] == 0 or pwc.dmt:
        return
    entry = number >> (9 * level)
    row = pwc_row(pwc, cpu, dimension, level, entry)
    take(pwc.tags, row, pwc.ways[dimension, level], entry_tag(space, level, entry), EMPTY)


@inner
def found_entry(pwc: Pwc, port: Port, dimension: Int, space: Int, hfn: Int, index: Int, level: Int, lowest: Int) -> bool:
    """Whether the cache of single entries, tagged by host-physical address, has one above the lowest level."""
    if pwc.sets[GUEST, LOWEST] == 0 or level == lowest or dimension >= pwc.cached:
        return False
    count_lookup(port, PWC_LOOKUPS + dimension)
    entry = np.int64(hfn) << 9 | (index & 511)
    row = pwc_row(pwc, port.context[0], GUEST, LOWEST, entry)
    hit = reuse(pwc.tags, row, pwc.ways[GUEST, LOWEST], (space << SPACE_BITS) | entry)
    if hit:
        count_hit(port, PWC_HITS + dimension)
    return hit  # type: ignore[no-any-return]


@inner
def keep_single(pwc: Pwc, cpu: Int, dimension: Int, space: Int, hfn: Int, index: Int) -> None:
    """Enter an entry into the cache of single ones, unless it is there."""
    if pwc.sets[GUEST, LOWEST] == 0 or dimension >= pwc.cached:
        return
    entry = np.int64(hfn) << 9 | (index & 511)
    row = pwc_row(pwc, cpu, GUEST, LOWEST, entry)
    tag = (space << SPACE_BITS) | entry
    take(pwc.tags, row, pwc.ways[GUEST, LOWEST], tag, EMPTY)


@inner
def nested_tag(port: Port, gfn: Int, lowest: Int) -> Int:
    """Tag of the host page behind a guest frame."""
    return port.context[HOST_SPACE] << SPACE_BITS | (gfn >> (9 * lowest)) << 2 | lowest  # type: ignore[no-any-return]


@inner
def in_nested_tlb(pwc: Pwc, port: Port, gfn: Int, lowest: Int) -> bool:
    """Whether the nested TLB knows the host page behind a guest frame."""
    if pwc.sets[HOST, LOWEST] == 0:
        return False
    count_lookup(port, NESTED_TLB_LOOKUPS)
    row = pwc_row(pwc, port.context[0], HOST, LOWEST, gfn >> (9 * lowest))
    if reuse(pwc.tags, row, pwc.ways[HOST, LOWEST], nested_tag(port, gfn, lowest)):
        count_hit(port, NESTED_TLB_HITS)
        return True
    return False


@inner
def keep_in_nested_tlb(pwc: Pwc, port: Port, gfn: Int, lowest: Int) -> None:
    """Enter the host page behind a guest frame."""
    if pwc.sets[HOST, LOWEST] == 0:
        return
    row = pwc_row(pwc, port.context[0], HOST, LOWEST, gfn >> (9 * lowest))
    take(pwc.tags, row, pwc.ways[HOST, LOWEST], nested_tag(port, gfn, lowest), EMPTY)


@inner
def drop_rows(pwc: Pwc, begin: Int, end: Int, low: Int, high: Int) -> None:
    """Drop the entries of a range of address spaces in some rows."""
    for row in range(begin, end):
        for way in range(pwc.tags.shape[1]):
            tag = pwc.tags[row, way]
            if tag >= 0 and low <= tag >> SPACE_BITS < high:
                pwc.tags[row, way] = EMPTY


@inner
def drop_spaces(pwc: Pwc, low: Int, high: Int) -> None:
    """Drop the entries of a range of address spaces on all CPUs (INVLPG drops those of its PCID)."""
    drop_rows(pwc, FIRST_ROW, pwc.tags.shape[0], low, high)


@inner
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


@inner
def flush_spaces(pwc: Pwc, port: Port, event: Any) -> None:
    """Drop the entries of all of a VM's address spaces on one CPU, for a FLUSH."""
    begin = np.int64(event.cpu) * pwc.cpu_rows
    drop_rows(pwc, begin, begin + pwc.cpu_rows, port.space_base[event.vm], port.space_base[event.vm + 1])
