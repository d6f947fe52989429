"""Linux's two lists: what the kernel's reclaim of a memory control group makes of anonymous pages (6.18, no MGLRU).

A page that comes starts on the *inactive* list, whose tail is scanned in batches. One found accessed for the first time goes
round again, at the second time it is *activated*; one found idle is unmapped and written to swap, lies at the list's tail
once the write is through, and is freed when the scan meets it there. A page evicted leaves a shadow, the age of the lists at that
time; if it comes back before the lists have aged by more than the active list's length, it starts on the active list. Where
the active list has grown longer than the inactive one its tail is deactivated, accessed or not. How much of the lists is
scanned doubles with each priority, from a 4096th on, until a batch of pages is free: with every page accessed the whole
list is cleared at one go.

Three things of the kernel around it decide loops near the memory's size, and are modelled because they do. The lengths that
it compares are statistics of the group, flushed every two seconds. Writes are asynchronous and gathered in a plug, so that by
the time the first of them have come back, many more pages are unmapped. And those come back last written first. The times for
this are a device's; they are kept apart from the simulated clock, so that a device changes nothing of a count. The phase of the
flush and the bounds of swap clusters come from the seed.

Sources: `mm/vmscan.c` (`shrink_lruvec`, `shrink_folio_list`, `folio_check_references`, `shrink_active_list`, `get_scan_count`,
`prepare_scan_control`), `mm/workingset.c` (`workingset_eviction`, `workingset_test_recent`), `mm/swap.c` (`lru_move_tail`),
`mm/memcontrol.c` (`try_charge_memcg`, `flush_memcg_stats_dwork`), `block/blk-mq.c` (`blk_add_rq_to_plug`); none of their code.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner, inner_apart, kernel_apart
from memvirt.memory.lists import Chain, count_groups, group_of, make_chain, newest, oldest, push_back, push_front, unlink
from memvirt.memory.replacement import forget, insert, lingers, remove, touch, victim, victim_of
from memvirt.typing import Int

KEEPS_ITS_CHOICE = True  #: a page that it named is named again until it goes or is accessed

#: Knobs of the kernel's reclaim that there are not.
NOT_MODELLED = {
    "swappiness": "a host has no page cache of its own to weigh against",
    "watermark_scale_factor": "it is reclaim.watermark_scale of reclaim=linux",
}
BATCH = 32  #: pages scanned at a time, deactivated at a time, and wanted of a reclaim (SWAP_CLUSTER_MAX)
PRIORITY = 12  #: a list's 2^priority-th part is scanned (DEF_PRIORITY)
RETRIES = 16  #: reclaims that a charge is worth (MAX_RECLAIM_RETRIES)

#: Share of the scan that falls to anonymous memory with swappiness 60 if all costs are its own: weights of
#: 60 × 3/2 and 140 × 3, the latter for the page cache that there is none of (`calculate_pressure_balance`).
SHARE, OF = 3, 17

FLUSH_US = 2e6  #: between flushes of the statistics (FLUSH_TIME)
GOLDEN = (5**0.5 - 1) / 2  #: so that the phases of a few seeds in a row lie evenly in between
PLUG = 32  #: requests, or pages of the first request, with which a further one has the plug flushed
SEGMENTS = 254  #: pages that merge into one request of a virtio disk (max_segments)
#: Pages unmapped but not freed, in the swap cache, beyond those mapped: 63 to 82 by the share of the reference kernel's faults that
#: were minor ones (`again` of `linux_swap`, uniform pages). Whoever has fewer than 32 times as many keeps fewer.
CACHED, LEAST = 70, 32
CLUSTER = 512  #: swap slots that lie side by side (SWAPFILE_CLUSTER)

# Times in us, as tracepoints showed them on the machine of `linux_swap`'s reference: a page looked at, unmapped and written, freed;
# a request at the device, besides each page of it.
KEEP_US, WRITE_US, FREE_US, REQUEST_US = 0.35, 3.5, 1.0, 40.0

NEVER = 1e300
NOWHERE, INACTIVE, ACTIVE, FREED = range(4)

#: A page.
PAGE = np.dtype(
    [
        ("place", "i1"),  # the list that it is on: `NOWHERE`, `INACTIVE`, …
        ("accessed", "i1"),  # its PTE's accessed bit
        ("referenced", "i1"),  # PG_referenced
        ("clean", "i1"),  # unmapped and written, or being written
        ("flying", "i1"),  # being written
        ("starts", "i1"),  # whether that write begins a request
        ("slot", "<i4"),  # its swap slot, or -1
        ("shadow", "<i8"),  # age of the lists when it was last evicted, or -1
        ("done", "<f8"),  # when its write is through (us)
    ],
    align=True,
)

#: The statistics, the plug and the device of a group; times in us.
MEMCG = np.dtype(
    [
        ("inactive", "<i8"),  # length of the inactive list
        ("active", "<i8"),  # length of the active list
        ("age", "<i8"),  # evictions and activations (`nonresident_age`)
        ("refaults", "<i8"),  # refaults activated
        ("seen_inactive", "<i8"),  # `inactive` as of the last flush
        ("seen_active", "<i8"),  # `active` as of the last flush
        ("seen_refaults", "<i8"),  # `refaults` as of the last flush
        ("last_refaults", "<i8"),  # `seen_refaults` as of the last reclaim
        ("slots", "<i8"),  # swap slots in use
        ("bound", "<i8"),  # where swap clusters begin
        ("plugged", "<i8"),  # pages in the plug
        ("requests", "<i8"),  # requests in the plug
        ("first_length", "<i8"),  # pages of its first request
        ("length", "<i8"),  # pages of its last request
        ("last_slot", "<i8"),  # the last slot of that
        ("fault", "<f8"),  # what a fault takes
        ("page", "<f8"),  # what a page takes at the device
        ("time", "<f8"),  # its clock
        ("disk", "<f8"),  # when the device is free
        ("flush", "<f8"),  # when the statistics are flushed next
    ],
    align=True,
)


class State(NamedTuple):
    """The kernel's two lists, pages whose writes are under way, pages freed but not evicted yet, all oldest last."""

    inactive: Chain
    active: Chain
    writes: Chain
    freed: Chain
    pages: Any
    memcgs: Any


def make(size: int, seed: int, groups: NDArray[np.int64] | None = None, fault_us: float = 100.0, page_us: float = 1.7) -> State:
    """State for items 0 … ``size`` - 1.

    Parameters
    ----------
    size : int
    seed : int
        Of the flush's phase and of where swap clusters begin.
    groups : (size,) int64, optional
        The control group of each item, one for all if not given. Each has lists, statistics and a swap device of its own.
    fault_us : float
        What a major fault takes on the machine modelled: with it, how many of them fall between two flushes.
    page_us : float
        What the swap device takes for each page written: with it, how many more are unmapped before the first is back.
    """
    lists = [make_chain(size, groups) for _ in range(4)]
    pages, memcg = np.zeros(size, PAGE).view(np.recarray), np.zeros(count_groups(lists[0]), MEMCG).view(np.recarray)
    pages.slot = pages.shadow = -1
    memcg.fault, memcg.page = fault_us, page_us
    memcg.flush = seed * GOLDEN % 1 * FLUSH_US
    memcg.bound = np.random.default_rng(seed).integers(CLUSTER)
    return State(lists[0], lists[1], lists[2], lists[3], pages, memcg)


@inner
def flush_statistics(state: State, group: Int) -> None:
    """Have the lengths seen that comparisons go by, if it is time."""
    memcg = state.memcgs[group]
    if memcg.time >= memcg.flush:
        memcg.seen_inactive, memcg.seen_active, memcg.seen_refaults = memcg.inactive, memcg.active, memcg.refaults
        memcg.flush += FLUSH_US * (1 + (memcg.time - memcg.flush) // FLUSH_US)


@inner
def place(state: State, item: Int, where: Int) -> None:
    """Put a page that is on no list at the head of one."""
    memcg = state.memcgs[group_of(state.inactive, item)]
    state.pages[item].place = where
    if where == ACTIVE:
        push_front(state.active, item)
        memcg.active += 1
        memcg.age += 1
    else:
        push_front(state.inactive, item)
        memcg.inactive += 1


@inner
def take_off(state: State, item: Int) -> None:
    """Take a page off its list."""
    memcg, where = state.memcgs[group_of(state.inactive, item)], state.pages[item].place
    if where == INACTIVE:
        unlink(state.inactive, item)
        memcg.inactive -= 1
    elif where == ACTIVE:
        unlink(state.active, item)
        memcg.active -= 1
    elif where == FREED:
        unlink(state.freed, item)
    state.pages[item].place = NOWHERE


@inner_apart
def unplug(state: State, group: Int) -> None:
    """Send the plug's requests to the device, which takes one after the other."""
    memcg = state.memcgs[group]
    done = max(memcg.disk, memcg.time) + memcg.requests * REQUEST_US + memcg.plugged * memcg.page
    memcg.disk = done
    item, length = newest(state.writes, group), 0
    for _ in range(memcg.plugged):
        state.pages[item].done = done
        length += 1
        if state.pages[item].starts:
            done -= REQUEST_US + length * memcg.page
            length = 0
        item = state.writes.next[item]
    memcg.plugged = memcg.requests = memcg.first_length = 0


@inner_apart
def write(state: State, item: Int) -> None:
    """Write an unmapped page to its swap slot, merged with the request before it where the slots are neighbours."""
    group = group_of(state.inactive, item)
    memcg, page = state.memcgs[group], state.pages[item]
    if page.slot < 0:
        page.slot = memcg.slots
        memcg.slots += 1
    slot = np.int64(page.slot)
    merges = memcg.requests > 0 and slot == memcg.last_slot + 1 and (slot + memcg.bound) % CLUSTER and memcg.length < SEGMENTS
    if not merges:
        if memcg.requests >= PLUG or memcg.first_length >= PLUG:
            unplug(state, group)
        memcg.requests += 1
        memcg.length = 0
    memcg.length += 1
    memcg.plugged += 1
    if memcg.requests == 1:
        memcg.first_length = memcg.length
    memcg.last_slot = slot
    page.starts = not merges
    page.clean = page.flying = 1
    page.done = NEVER
    push_front(state.writes, item)
    memcg.time += WRITE_US


@inner
def land(state: State, item: Int) -> None:
    """Note that a page's write is through."""
    state.pages[item].flying = 0
    unlink(state.writes, item)


@inner_apart
def rotate(state: State, group: Int) -> None:
    """Move pages whose writes are through to the inactive list's tail, so that the last is met first."""
    memcg, item = state.memcgs[group], oldest(state.writes, group)
    while item < state.pages.size and state.pages[item].done <= memcg.time:
        land(state, item)
        take_off(state, item)
        push_back(state.inactive, item)
        state.pages[item].place = INACTIVE
        memcg.inactive += 1
        item = oldest(state.writes, group)


@inner_apart
def shrink_inactive(state: State, group: Int, count: Int) -> Int:
    """Scan the tail of the inactive list; returns how many pages it frees."""
    memcg, freed = state.memcgs[group], 0
    rotate(state, group)
    for _ in range(min(count, memcg.inactive)):
        item = oldest(state.inactive, group)
        page = state.pages[item]
        take_off(state, item)
        if page.flying:  # a group of the old hierarchy waits
            if page.done == NEVER:
                unplug(state, group)
            memcg.time = max(memcg.time, page.done)
            land(state, item)
        if page.accessed:
            place(state, item, ACTIVE if page.referenced else INACTIVE)
            page.accessed, page.referenced, page.clean = 0, 1, 0
            memcg.time += KEEP_US
            continue
        page.referenced = 0
        if page.clean:
            page.clean, page.place = 0, FREED
            page.shadow = memcg.age
            memcg.age += 1
            push_front(state.freed, item)
            freed += 1
            memcg.time += FREE_US
        else:
            place(state, item, INACTIVE)
            write(state, item)
    return freed


@inner_apart
def shrink_active(state: State, group: Int, count: Int) -> None:
    """Deactivate the tail of the active list, accessed or not."""
    memcg = state.memcgs[group]
    rotate(state, group)
    for _ in range(min(count, memcg.active)):
        item = oldest(state.active, group)
        take_off(state, item)
        state.pages[item].accessed = 0
        place(state, item, INACTIVE)
        memcg.time += KEEP_US


@inner_apart
def shrink_lists(state: State, group: Int, priority: Int, force: Int) -> Int:
    """Scan the lists' parts that a priority says; returns how many pages were freed."""
    freed: Int = 0
    memcg = state.memcgs[group]
    flush_statistics(state, group)
    deactivate = force or memcg.seen_refaults != memcg.last_refaults or memcg.seen_inactive < memcg.seen_active
    inactive, active = memcg.inactive >> priority, memcg.active >> priority
    if priority > 0:
        inactive, active = inactive * SHARE // OF, active * SHARE // OF
    while inactive > 0 and freed < BATCH:
        freed += shrink_inactive(state, group, min(inactive, BATCH))
        inactive -= BATCH
        if deactivate and active > 0:
            shrink_active(state, group, min(active, BATCH))
            active -= BATCH
    unplug(state, group)
    if force or memcg.seen_inactive < memcg.seen_active:
        shrink_active(state, group, BATCH)
    return freed


@inner_apart
def reclaim(state: State, group: Int, force: Int) -> None:
    """Free a batch of pages, at one priority after the other."""
    freed: Int = 0
    memcg, priority = state.memcgs[group], PRIORITY
    while priority >= 0 and freed < BATCH:
        freed += shrink_lists(state, group, priority, force)
        priority -= 1
    memcg.last_refaults = memcg.seen_refaults


@inner
def is_cached(state: State, item: Int) -> bool:
    """Whether a page evicted so lately is still in the swap cache; half a batch was evicted before it was, on the average."""
    memcg, shadow = state.memcgs[group_of(state.inactive, item)], state.pages[item].shadow
    return shadow >= 0 and memcg.age - shadow < min(CACHED + BATCH // 2, (memcg.inactive + memcg.active) // LEAST)  # type: ignore[no-any-return]


@kernel_apart
def arrive(state: State, item: Int) -> None:
    """Take a page in, on the active list if it comes back before the lists have aged by the active one's length."""
    group = group_of(state.inactive, item)
    memcg, page = state.memcgs[group], state.pages[item]
    page.accessed = page.referenced = page.clean = 0
    where = INACTIVE
    if is_cached(state, item):  # it is where it was, and accessed
        push_back(state.inactive, item)
        memcg.inactive += 1
        page.place, page.shadow = INACTIVE, -1
        memcg.time += FREE_US
        return
    if page.shadow >= 0:
        memcg.time += memcg.fault
        flush_statistics(state, group)
        if memcg.age - page.shadow <= memcg.seen_active:
            where = ACTIVE
            memcg.refaults += 1
        page.shadow = -1
    else:
        memcg.time += FREE_US
    place(state, item, where)


@kernel_apart
def choose(state: State, group: Int) -> Int:
    """Name the page of a group freed first that is still here, having a batch freed if there is none; no page if it has none."""
    for trial in range(2 * RETRIES):
        item = oldest(state.freed, group)
        while item < state.pages.size and state.pages[item].accessed:  # the kernel, which gives all back at once, had a fault here
            take_off(state, item)
            arrive(state, item)
            item = oldest(state.freed, group)
        if item < state.pages.size:
            return item
        reclaim(state, group, trial >= RETRIES)  # where the kernel would see the group out of memory
    item = oldest(state.inactive, group)
    return item if item < state.pages.size else oldest(state.active, group)


@kernel_apart
def waits(state: State, item: Int) -> bool:
    """As `is_cached`, for Python."""
    return is_cached(state, item)


@kernel_apart
def leave(state: State, item: Int) -> None:
    """Let a page go."""
    if state.pages[item].flying:
        land(state, item)
    take_off(state, item)


@insert.register
def _insert(state: State, item: Int) -> None:
    arrive(state, item)


@touch.register
def _touch(state: State, item: Int) -> None:
    state.pages[item].accessed = 1


@victim.register
def _victim(state: State) -> Int:
    return choose(state, np.int64(0))


@victim_of.register
def _victim_of(state: State, group: Int) -> Int:
    item = choose(state, group)
    return item if item < state.pages.size else -1


@remove.register
def _remove(state: State, item: Int) -> None:
    leave(state, item)


@lingers.register
def _lingers(state: State, item: Int) -> bool:
    return waits(state, item)


@forget.register
def _forget(state: State, item: Int) -> None:
    state.pages[item].shadow = state.pages[item].slot = -1
