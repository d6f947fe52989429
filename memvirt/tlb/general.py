"""Looking up in a hierarchy that isn't plain: inclusive or exclusive, dirty bits, coalesced entries, sides, pages that bypass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner, inner_apart, kernel
from memvirt.tlb.hierarchy import (
    BYPASSES,
    COALESCES,
    DIRTY_BITS,
    EXCLUSIVE,
    INCLUSION,
    INCLUSIVE,
    SPLIT,
    STORES,
    Bank,
    Hierarchy,
    count_policies,
    obey,
    take_out,
)
from memvirt.tlb.replacement import INVALID, drop, fill, find, touch, victim
from memvirt.typing import Int

HIT, MISS, FIRST_WRITE = np.int64(0), np.int64(1), np.int64(2)
ONE_PAGE = np.int64(1)


@inner
def way_of(tlbs: Hierarchy, bank: Bank, first: Int, ways: Int, tag: Int, page: Int) -> Int:
    """Way of a set with a page's translation, -1 if none; several may be for parts of one group."""
    if not tlbs.rules[COALESCES]:
        return find(bank.tags, first, ways, tag)  # type: ignore[no-any-return]
    for way in range(ways):
        if bank.tags[first + way] == tag and bank.covers[first + way] & tlbs.bit[page]:
            return way
    return -1


@inner
def slot_of(tlbs: Hierarchy, bank: Bank, cpu: Int, page: Int) -> Int:
    """Slot that holds a page's translation on a CPU, -1 if none does."""
    start = np.int64(bank.level.start_now[page])
    if start < 0:
        return -1
    slot = cpu * bank.level.slots + start
    way = way_of(tlbs, bank, slot, np.int64(bank.level.ways[start]), tlbs.entries.tag_now[page], page)
    return slot + way if way >= 0 else -1


@inner
def first_of(tlbs: Hierarchy, flags: Int) -> Bank:
    """First level that an access looks up; ``flags`` are as `look_up_one` has them."""
    if flags & 1:
        return tlbs.fetch
    return tlbs.store if flags & 2 else tlbs.first


@inner
def touch_slot(bank: Bank, cpu: Int, page: Int, slot: Int) -> None:
    """Note a hit."""
    start = np.int64(bank.level.start_now[page])
    first = cpu * bank.level.slots + start
    touch(bank.policy, first, np.int64(bank.level.ways[start]), slot - first)


@inner_apart
def enter(tlbs: Hierarchy, bank: Bank, cpu: Int, page: Int, covers: Int, dirty: Int) -> Any:
    """Enter a translation; returns the tag that had to go for it (`INVALID` if none), what it covered, whether it was dirty."""
    start = np.int64(bank.level.start_now[page])
    out, out_covers, out_dirty = np.int64(INVALID), ONE_PAGE, np.int64(0)
    if start < 0:
        return out, out_covers, out_dirty
    ways = np.int64(bank.level.ways[start])
    first = cpu * bank.level.slots + start
    tag = tlbs.entries.tag_now[page]
    way: Int = -1
    for other in range(ways):
        if bank.tags[first + other] == INVALID:
            way = other
            break
    if way < 0:
        way = np.int64(victim(bank.policy, first, ways))
        out = np.int64(bank.tags[first + way])
        if tlbs.rules[COALESCES]:
            out_covers = np.int64(bank.covers[first + way])
        if tlbs.rules[DIRTY_BITS]:
            out_dirty = np.int64(bank.dirty[first + way])
    bank.tags[first + way] = tag
    if tlbs.rules[COALESCES]:
        bank.covers[first + way] = covers
    if tlbs.rules[DIRTY_BITS]:
        bank.dirty[first + way] = dirty
    fill(bank.policy, first, ways, way)
    return out, out_covers, out_dirty


@inner_apart
def fill_first(tlbs: Hierarchy, first: Bank, cpu: Int, page: Int, covers: Int, dirty: Int) -> None:
    """Enter a translation into an L1; of an exclusive hierarchy, its victim goes to the L2."""
    exclusive = tlbs.rules[INCLUSION] == EXCLUSIVE
    if first.level.start_now[page] < 0:
        if exclusive:
            enter(tlbs, tlbs.second, cpu, page, covers, dirty)
        return
    out, out_covers, out_dirty = enter(tlbs, first, cpu, page, covers, dirty)
    if exclusive and out != INVALID:
        enter(tlbs, tlbs.second, cpu, out, out_covers, out_dirty)


@inner_apart
def fill_both(tlbs: Hierarchy, cpu: Int, page: Int, flags: Int, covers: Int) -> None:
    """Enter what a walk has found."""
    dirty = np.int64(0)
    if tlbs.rules[DIRTY_BITS]:
        tag = tlbs.entries.tag_now[page]
        tlbs.written[tag] |= flags >> 1
        dirty = np.int64(tlbs.written[tag])
    if tlbs.rules[INCLUSION] != EXCLUSIVE:
        out, _, _ = enter(tlbs, tlbs.second, cpu, page, covers, dirty)
        if tlbs.rules[INCLUSION] == INCLUSIVE and out != INVALID:
            take_out(tlbs.first, cpu * tlbs.first.level.slots, np.int64(tlbs.first.level.start_now[out]), out)
            if tlbs.rules[SPLIT]:
                take_out(tlbs.fetch, cpu * tlbs.fetch.level.slots, np.int64(tlbs.fetch.level.start_now[out]), out)
            if tlbs.rules[STORES]:
                take_out(tlbs.store, cpu * tlbs.store.level.slots, np.int64(tlbs.store.level.start_now[out]), out)
    fill_first(tlbs, first_of(tlbs, flags), cpu, page, covers, dirty)


@inner
def write_to(tlbs: Hierarchy, cpu: Int, page: Int) -> bool:
    """Note a write that hits; whether it is the first to an entry that was loaded clean, which is dirty from now on."""
    found = False
    for level in range(2):
        bank = tlbs.second if level else tlbs.store
        slot = slot_of(tlbs, bank, cpu, page)
        if slot >= 0 and not bank.dirty[slot]:
            bank.dirty[slot] = 1
            found = True
    if found:
        tlbs.written[tlbs.entries.tag_now[page]] = 1
    return found


@inner_apart
def look_up_one(tlbs: Hierarchy, counts: Any, cpu: Int, page: Int, flags: Int) -> Int:
    """Look one access up: `HIT`, `MISS` (walk, then `fill_both`), or `FIRST_WRITE` (walk).

    ``flags`` are the two upper bits of `Accesses.line`: 2 for a write, 1 for an instruction fetch.
    """
    fetched = flags & 1
    counts.fetches += fetched
    first = first_of(tlbs, flags)
    if tlbs.rules[BYPASSES] and tlbs.bypass.direct[page]:
        return HIT
    slot = slot_of(tlbs, first, cpu, page)
    if slot >= 0:
        touch_slot(first, cpu, page, slot)
        counts.tlb_lookup_cycles += first.level.cycles[slot - cpu * first.level.slots]
    else:
        counts.l1_tlb_misses += 1
        counts.l1i_tlb_misses += fetched
        counts.tlb_lookup_cycles += first.level.miss_cycles
        second = tlbs.second
        slot = slot_of(tlbs, second, cpu, page)
        if slot < 0:
            counts.l2_tlb_misses += 1
            counts.tlb_lookup_cycles += second.level.miss_cycles
            return MISS
        counts.tlb_lookup_cycles += second.level.cycles[slot - cpu * second.level.slots]
        covers = np.int64(second.covers[slot]) if tlbs.rules[COALESCES] else ONE_PAGE
        dirty = np.int64(second.dirty[slot]) if tlbs.rules[DIRTY_BITS] else np.int64(0)
        if tlbs.rules[INCLUSION] == EXCLUSIVE and first.level.start_now[page] >= 0:
            start = np.int64(second.level.start_now[page])
            base = cpu * second.level.slots + start
            second.tags[slot] = INVALID
            drop(second.policy, base, np.int64(second.level.ways[start]), slot - base)
        else:
            touch_slot(second, cpu, page, slot)
        fill_first(tlbs, first, cpu, page, covers, dirty)
    if tlbs.rules[DIRTY_BITS] and flags >> 1 and write_to(tlbs, cpu, page):
        counts.dirty_walks += 1
        return FIRST_WRITE
    return HIT


@kernel
def translate_general(
    tlbs: Hierarchy,
    pages: NDArray[np.uint32],
    lines: NDArray[np.uint8],
    runs: Any,
    events: Any,
    next_event: Int,
    first: Int,
    walks: Any,
) -> Any:
    """As `memvirt.tlb.hierarchy.translate`; an entry covers its page alone, since frames aren't known here."""
    found = 0
    for run in runs:
        counts = tlbs.counts[run.vm, run.epoch]
        cpu = np.int64(run.cpu)
        for offset in range(np.int64(run.at), np.int64(run.at) + np.int64(run.length)):
            while next_event < events.size and np.int64(events[next_event].at) <= first + offset:
                obey(tlbs, events[next_event])
                next_event += 1
            page, flags = np.int64(pages[offset]), np.int64(lines[offset] >> 6)
            outcome = look_up_one(tlbs, counts, cpu, page, flags)
            if outcome != HIT:
                walks[found] = offset
                found += 1
                if outcome == MISS:
                    fill_both(tlbs, cpu, page, flags, ONE_PAGE)
        count_policies(tlbs, counts)
    return found, next_event
