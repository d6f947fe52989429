"""The one loop over a CPU's TLBs: L1, then L2, then a walk; shootdowns and flushes between accesses.

The L2 is looked up on an L1 miss only; a walk fills L2 and L1; an L1 hit doesn't touch the L2 (as TLB;DR,
USENIX Security'22, finds of Intel's); invalid ways are filled first. A level costs its look-up, found or not.

Hot loops index by unsigned numbers, for which numba adds no test of whether an index counts from the end.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.counters import Counter
from memvirt.jit import inner, inner_apart, kernel
from memvirt.tlb.geometry import Entries, Level
from memvirt.tlb.replacement import INVALID, count_own, drop, find, take
from memvirt.tlb.segment import Escapes, take_away
from memvirt.types import DROP, EVERY_SPACE, FLUSH, INVEPTS, MOVE, SWITCH
from memvirt.typing import Int

COUNTERS = (
    Counter("l1_tlb_misses", "accesses", doc="that miss the first level of TLBs"),
    Counter("l2_tlb_misses", "accesses", doc="that miss the second level too, and so must walk"),
    Counter("fetches", "accesses", doc="that are instruction fetches"),
    Counter("l1i_tlb_misses", "accesses", doc="fetches among `l1_tlb_misses`"),
    Counter("dirty_walks", "walks", doc="of first writes to clean TLB entries"),
    Counter("tlb_lookup_cycles", "cycles", doc="of looking up TLBs, beyond what an access takes anyway"),
    Counter("tlb_flushes", "flushes", doc="of what a VM or a CPU has in the TLBs"),
    Counter("tlb_shootdowns", "pages", doc="whose translations were taken out of the TLBs one by one"),
    Counter("tlb_invlpgs", "entries", doc="invalidated one by one"),
    Counter("tlb_batch_flushes", "flushes", doc="instead of more than 33 of those at once"),
    Counter("tlb_invepts", "flushes", doc="of a VM after the host took a page away"),
    Counter("tlb_ipis", "interrupts", doc="of other CPUs for a shootdown"),
)
MOST_INVLPGS = 33  #: of more entries at once Linux flushes all instead (`tlb_single_page_flush_ceiling`, arch/x86/mm/tlb.c)


class Bank(NamedTuple):
    """The entries of one level on all CPUs.

    Attributes
    ----------
    tags : (cpus * slots,) uint32
    level : Level
    policy : State of the replacement policy
    dirty : (cpus * slots,) uint8
        Whether the entry was loaded or walked for as dirty; of length 1 where that is not kept.
    covers : (cpus * slots,) uint8
        Which pages of its group the entry is for, a bit each; of length 1 where entries aren't coalesced.
    """

    tags: NDArray[np.uint32]
    level: Level
    policy: Any
    dirty: NDArray[np.uint8]
    covers: NDArray[np.uint8]


class Hierarchy(NamedTuple):
    """All TLBs of the machine.

    Attributes
    ----------
    first, second, fetch, store : Bank
        The level for data, the level for both, and the first levels for instructions and for stores, which may be the one for data.
    entries : Entries
    base : (vms + 1,) int64
        First tag of each VM.
    rules : (11,) int64
        Whether an EVICT takes all of the VM's entries, a switch of address space flushes them, a switch of VM
        flushes the CPU, the host's page size matters to an entry; how many of an EVICT's DROPs are still to pass; whether dirty
        bits are kept, pages bypass, entries are coalesced; 1 for an inclusive hierarchy, 2 for an exclusive one; whether
        instructions, and stores, have a first level of their own.
    counts : (vms, epochs) records of the counters in use (`memvirt.counters`)
    bypass : Escapes
        Pages that need no entry, until the host takes them away.
    written : (pages,) uint8
        Whether the table's entry is dirty, at its tag.
    bit : (pages,) uint8
        The page's place in its group, as a bit.
    asid : (pages,) uint16
    others : (vms, cpus) int64
        CPUs that a VM's vCPUs run on besides this one: those that a shootdown from here interrupts.
    batch : (4,) int64
        The shootdown that goes on: the access before which it is, its VM, its entries so far, the last one's tag.
    skips : (0,) or (1,) tuple
        Whether a page's second access in a row isn't looked up, which pays where sets are large; kernels are compiled for it.
    """

    first: Bank
    second: Bank
    fetch: Bank
    store: Bank
    entries: Entries
    base: NDArray[np.int64]
    rules: NDArray[np.int64]
    counts: Any
    bypass: Escapes
    written: NDArray[np.uint8]
    bit: NDArray[np.uint8]
    asid: NDArray[np.uint16]
    others: NDArray[np.int64]
    batch: NDArray[np.int64]
    skips: tuple[int, ...]


(
    EVICT_TAKES_VM,
    SWITCH_FLUSHES,
    PREEMPT_FLUSHES,
    HOST_SIZE_MATTERS,
    TO_PASS,
    DIRTY_BITS,
    BYPASSES,
    COALESCES,
    INCLUSION,
    SPLIT,
    STORES,
) = np.arange(11)
INCLUSIVE, EXCLUSIVE = 1, 2


@inner_apart
def take_out(bank: Bank, offset: Int, start: Int, tag: Int) -> None:
    """Invalidate one translation on the CPU whose slots begin at ``offset``, if it is there."""
    if start < 0:
        return
    ways = np.int64(bank.level.ways[start])
    way = find(bank.tags, offset + start, ways, np.uint32(tag))
    while way >= 0:  # more than once only where entries are coalesced
        bank.tags[offset + start + way] = INVALID
        drop(bank.policy, offset + start, ways, way)
        way = find(bank.tags, offset + start, ways, np.uint32(tag))


@inner_apart
def flush(bank: Bank, offset: Int, low: Int, high: Int) -> None:
    """Invalidate a CPU's translations whose tags are in a range."""
    slot: Int = 0
    while slot < bank.level.slots:
        ways = np.int64(bank.level.ways[slot])
        for way in range(ways):
            tag = bank.tags[offset + slot + way]
            if tag != INVALID and low <= tag < high:
                bank.tags[offset + slot + way] = INVALID
                drop(bank.policy, offset + slot, ways, way)
        slot += ways


@inner
def flush_range(tlbs: Hierarchy, begin: Int, end: Int, low: Int, high: Int) -> None:
    """Invalidate translations whose tags are in a range, on CPUs ``begin`` to ``end``."""
    for cpu in range(begin, end):
        flush(tlbs.first, cpu * tlbs.first.level.slots, low, high)
        flush(tlbs.second, cpu * tlbs.second.level.slots, low, high)
        if tlbs.rules[SPLIT]:
            flush(tlbs.fetch, cpu * tlbs.fetch.level.slots, low, high)
        if tlbs.rules[STORES]:
            flush(tlbs.store, cpu * tlbs.store.level.slots, low, high)


@inner
def count_shootdown(tlbs: Hierarchy, counts: Any, event: Any, tag: Int) -> None:
    """Count what a DROP takes: an INVLPG for each entry, and one interrupt of each other CPU for all that goes at once."""
    batch = tlbs.batch
    if batch[0] != np.int64(event.at) or batch[1] != np.int64(event.vm):
        batch[0], batch[1], batch[2], batch[3] = event.at, event.vm, 0, -1
        counts.tlb_ipis += tlbs.others[event.vm, event.cpu]
    if tag == batch[3]:
        return
    batch[2] += 1
    batch[3] = tag
    if batch[2] <= MOST_INVLPGS:
        counts.tlb_invlpgs += 1
    elif batch[2] == MOST_INVLPGS + 1:
        counts.tlb_invlpgs -= MOST_INVLPGS
        counts.tlb_batch_flushes += 1


@inner_apart
def obey(tlbs: Hierarchy, event: Any) -> None:
    """Carry out a shootdown or flush."""
    kind, cpus = np.int64(event.kind), tlbs.others.shape[1]
    entries = tlbs.entries
    counts = tlbs.counts[event.vm, event.epoch]
    first, second = tlbs.first, tlbs.second
    if kind == DROP:
        page = np.int64(event.page)
        if tlbs.rules[DIRTY_BITS]:
            tlbs.written[entries.tag_now[page]] = 0
        if tlbs.rules[TO_PASS] > 0:
            tlbs.rules[TO_PASS] -= 1
            if tlbs.rules[BYPASSES]:
                take_away(tlbs.bypass, np.int64(event.vm), page)
        else:
            column = min(entries.guest_order[page], entries.host_order[page]) // 9
            tag = entries.tag[page, column]
            for cpu in range(cpus):
                if tlbs.rules[SPLIT]:
                    fetch = tlbs.fetch
                    take_out(fetch, cpu * fetch.level.slots, np.int64(fetch.level.start[page, column]), np.int64(tag))
                if tlbs.rules[STORES]:
                    store = tlbs.store
                    take_out(store, cpu * store.level.slots, np.int64(store.level.start[page, column]), np.int64(tag))
                take_out(first, cpu * first.level.slots, np.int64(first.level.start[page, column]), np.int64(tag))
                take_out(second, cpu * second.level.slots, np.int64(second.level.start[page, column]), np.int64(tag))
            counts.tlb_shootdowns += 1
            count_shootdown(tlbs, counts, event, np.int64(tag))
        if tlbs.rules[HOST_SIZE_MATTERS]:
            entries.host_order[page] = event.order
            column = min(entries.guest_order[page], entries.host_order[page]) // 9
            entries.tag_now[page] = entries.tag[page, column]
            first.level.start_now[page] = first.level.start[page, column]
            second.level.start_now[page] = second.level.start[page, column]
            tlbs.fetch.level.start_now[page] = tlbs.fetch.level.start[page, column]
            tlbs.store.level.start_now[page] = tlbs.store.level.start[page, column]
        return
    low, high = np.int64(0), np.int64(INVALID)
    begin, end = np.int64(event.cpu), np.int64(event.cpu) + 1
    invept = INVEPTS >> kind & 1
    if invept:
        if not tlbs.rules[EVICT_TAKES_VM]:
            return
        tlbs.rules[TO_PASS] = event.count
        begin, end = np.int64(0), np.int64(cpus)
    elif kind != FLUSH and kind != MOVE and not tlbs.rules[SWITCH_FLUSHES if kind == SWITCH else PREEMPT_FLUSHES]:
        return
    if kind == MOVE:
        for cpu in range(cpus):
            tlbs.others[event.vm, cpu] = event.count
    if invept or kind == SWITCH or kind == FLUSH or kind == MOVE:
        low, high = tlbs.base[event.vm], tlbs.base[event.vm + 1]
    if kind == FLUSH and np.int64(event.asid) != EVERY_SPACE:
        while low < high and np.int64(tlbs.asid[low]) != np.int64(event.asid):
            low += 1
        last = low
        while last < high and np.int64(tlbs.asid[last]) == np.int64(event.asid):
            last += 1
        high = last
    flush_range(tlbs, begin, end, low, high)
    counts.tlb_flushes += 1
    if invept:
        counts.tlb_invepts += 1
        counts.tlb_ipis += tlbs.others[event.vm, event.cpu]


@inner_apart
def look_up(tlbs: Hierarchy, pages: NDArray[np.uint32], begin: Int, end: Int, cpu: Int, counts: Any, walks: Any, found: Int) -> Int:
    """Look up accesses ``begin`` to ``end`` on one CPU; returns the number of walks written so far."""
    first, second, tag_now = tlbs.first, tlbs.second, tlbs.entries.tag_now
    starts, ways_of, cycles_of = first.level.start_now, first.level.ways, first.level.cycles
    cycles, misses, walked = np.int64(0), 0, found
    base, base2 = cpu * first.level.slots, cpu * second.level.slots
    last, hit_cycles = np.int64(-1), np.int64(0)
    for offset in range(begin, end):
        page = pages[np.uint64(offset)]
        tag = tag_now[page]
        if len(tlbs.skips) > 0 and tag == last:  # a second hit changes nothing
            cycles += hit_cycles
            continue
        start = np.int64(starts[page])
        if start >= 0 and take(first.policy, first.tags, base + start, np.int64(ways_of[start]), tag):
            last, hit_cycles = np.int64(tag), np.int64(cycles_of[start])
            cycles += hit_cycles
            continue
        last = np.int64(-1)
        misses += 1
        start = np.int64(second.level.start_now[page])
        if start >= 0 and take(second.policy, second.tags, base2 + start, np.int64(second.level.ways[start]), tag):
            cycles += second.level.cycles[start]
            continue
        walks[found] = offset
        found += 1
    counts.l1_tlb_misses += misses
    counts.l2_tlb_misses += found - walked
    counts.tlb_lookup_cycles += cycles + misses * first.level.miss_cycles + (found - walked) * second.level.miss_cycles
    return found


@inner
def count_policies(tlbs: Hierarchy, counts: Any) -> None:
    """Add what replacement policies counted in a run of one VM's accesses."""
    count_own(tlbs.first.policy, counts)
    count_own(tlbs.second.policy, counts)
    count_own(tlbs.fetch.policy, counts)  # which may be the first's, and has nothing to add then
    count_own(tlbs.store.policy, counts)


@kernel
def translate(tlbs: Hierarchy, pages: NDArray[np.uint32], runs: Any, events: Any, next_event: Int, first: Int, walks: Any) -> Any:
    """Look up one stretch of the merged order.

    Parameters
    ----------
    pages : (n,) uint32
    runs : (r,) RUN
        ``at`` relative to the stretch.
    events : (e,) EVENT
    next_event : int
        First that isn't carried out yet.
    first : int
        Place of the stretch in the merged order.
    walks : (n,) uint32
        Takes the offsets of the accesses that must walk.

    Returns
    -------
    found, next_event : int
    """
    found: Int = 0
    for run in runs:
        at, end = np.int64(run.at), np.int64(run.at) + np.int64(run.length)
        counts = tlbs.counts[run.vm, run.epoch]
        while at < end:
            while next_event < events.size and np.int64(events[next_event].at) <= first + at:
                obey(tlbs, events[next_event])
                next_event += 1
            stop = end
            if next_event < events.size:
                stop = min(end, np.int64(events[next_event].at) - first)
            found = look_up(tlbs, pages, at, stop, np.int64(run.cpu), counts, walks, found)
            at = stop
        count_policies(tlbs, counts)
    return found, next_event
