"""What a guest gives up when it needs room: clean cache, then its own coldest pages: files', or to its own swap.

The guest's swap is a file on the same device as the host's. A page that the host has swapped out must come in before the guest can
write it to its own swap: double paging (Goldberg and Hassinger, 1974; Waldspurger, OSDI'02, section 3.1).

A page that came back keeps its copy on the guest's swap as long as less than half of that is in use (Linux: `vm_swap_full`,
include/linux/swap.h; `should_try_to_free_swap`, mm/memory.c), so it goes again without a write, unless it is written meanwhile.
When swap is full the copies of pages in memory are given up (`__try_to_reclaim_swap`, mm/swapfile.c).
"""

from __future__ import annotations

import numpy as np

from memvirt.counters import Counter
from memvirt.jit import inner_apart
from memvirt.memory.balloon import relieve
from memvirt.memory.device import read_pages, write_pages
from memvirt.memory.frames import discard
from memvirt.memory.log import log_drop, log_guest_unmap
from memvirt.memory.numbers import end_of_pages, free_guest_frame
from memvirt.memory.page_cache import file_goes, is_clean, note_cost
from memvirt.memory.replacement import remove, victim_of
from memvirt.memory.state import FREE, NOTHING, ZERO, Now, World
from memvirt.memory.work import guest_reclaims
from memvirt.typing import Int

NOT_TOLD, TOLD = np.int64(0), np.int64(1)


COUNTERS = (
    Counter("guest_swap_out_pages", "pages", doc="written to the guest's own swap"),
    Counter("double_paged_pages", "pages", doc="that the host had to read so that the guest could write them to its own swap"),
)


@inner_apart
def unmap_page(world: World, now: Now, page: Int) -> Int:
    """Take a page (all of its larger page) out of the guest's tables; returns its first frame, which is nobody's yet."""
    mapped = world.pages[page]
    vm = np.int64(world.frames[mapped.frame].vm)
    order = np.int64(mapped.order)
    head = np.int64(mapped.frame) - (np.int64(mapped.vpn) & ((1 << order) - 1))
    log_guest_unmap(world, now, page, np.int64(mapped.frame), np.int64(mapped.end) - np.int64(mapped.first), order, vm)
    for number in range(mapped.first, mapped.end):
        other = world.pages[number]
        log_drop(world, now, number, np.int64(world.frames[other.frame].order), vm)
        other.content = world.frames[other.frame].content
        world.frames[other.frame].page = NOTHING
        world.frames[other.frame].role = FREE
        other.frame = NOTHING
    remove(world.policies.guest, np.int64(mapped.first))
    world.vms[vm].used -= 1 << order
    if mapped.file:
        world.vms[vm].files -= 1 << order
    return head


@inner_apart
def read_for_guest(world: World, now: Now, head: Int, size: Int) -> None:
    """Read what the host has swapped out of guest frames, since the guest writes it to its own swap."""
    away = 0
    for number in range(head, head + size):
        frame = world.frames[number]
        unit = number >> np.int64(frame.order) << np.int64(frame.order)
        if frame.hfn == NOTHING and world.frames[unit].swapped:
            away += 1
    if away:
        vm = np.int64(world.frames[head].vm)
        read_pages(world, now, away)
        world.counts[vm, world.vms[vm].epoch].double_paged_pages += away


@inner_apart
def free_slots(world: World, vm: Int, page: Int) -> None:
    """Have a guest's own swap hold a page (all of its larger page) no more; a file's is forgotten to have been dropped."""
    mapped, guest = world.pages[page], world.vms[vm]
    size = 1 << np.int64(mapped.order)
    if not mapped.file:
        guest.guest_swapped -= size
        if mapped.frame != NOTHING:
            guest.copies -= size
    for number in range(mapped.first, mapped.end):
        world.pages[number].swapped = 0


@inner_apart
def find_slots(world: World, vm: Int, size: Int) -> bool:
    """Have room on a guest's own swap, if need be where copies of pages in memory are; False if there is none.

    Linux tries slot after slot; here it goes page by page, on from where it stopped the last time.
    """
    guest = world.vms[vm]
    first, end = np.int64(guest.page_base), end_of_pages(world, vm)
    while guest.guest_swapped + size > guest.guest_swap and guest.copies > 0:
        page = max(np.int64(guest.copy_next), first)
        if world.pages[page].swapped and world.pages[page].frame != NOTHING:
            free_slots(world, vm, page)
        guest.copy_next = page + 1 if page + 1 < end else first
    return guest.guest_swapped + size <= guest.guest_swap  # type: ignore[return-value]


@inner_apart
def page_to_swap(world: World, now: Now, vm: Int) -> bool:
    """Have a guest free the frames of its programs' coldest page; False if there is no page, or no swap left for it.

    It is written to the guest's own swap, unless that holds it already.
    """
    guest = world.vms[vm]
    page = victim_of(world.policies.guest, vm)
    if page < 0:
        return False
    order = np.int64(world.pages[page].order)
    size = 1 << order
    clean = np.int64(world.pages[page].swapped)
    if not clean and not find_slots(world, vm, size):
        return False
    first, end = np.int64(world.pages[page].first), np.int64(world.pages[page].end)
    head = unmap_page(world, now, np.int64(page))
    guest_reclaims(world, vm, world.rules[0].reclaim_ns)
    if clean:
        guest.copies -= size
    else:
        read_for_guest(world, now, head, size)
        for number in range(first, end):
            world.pages[number].swapped = 1
        guest_reclaims(world, vm, size * world.rules[0].swap_out_ns)
        write_pages(world, now, size)
        note_cost(world, vm, ZERO, size)
        guest.guest_swapped += size
        world.counts[vm, guest.epoch].guest_swap_out_pages += size
    if world.rules[0].dimensions == 1:
        discard(world, now, head, NOT_TOLD)
    free_guest_frame(world, vm, head, order)
    return True


@inner_apart
def drop_file(world: World, now: Now, vm: Int) -> bool:
    """Have a guest free the frames of its coldest page of a file; False if it has none. It is written if it isn't clean."""
    if world.vms[vm].files == 0:
        return False
    page = np.int64(victim_of(world.policies.guest, world.vms.size + vm))
    if page < 0:
        return False
    order = np.int64(world.pages[page].order)
    size = 1 << order
    first, end = np.int64(world.pages[page].first), np.int64(world.pages[page].end)
    clean = is_clean(world, now, page)
    head = unmap_page(world, now, page)
    guest_reclaims(world, vm, world.rules[0].reclaim_ns)
    counts = world.counts[vm, world.vms[vm].epoch]
    if not clean:
        read_for_guest(world, now, head, size)
        guest_reclaims(world, vm, size * world.rules[0].swap_out_ns)
        write_pages(world, now, size)
        note_cost(world, vm, size, ZERO)
        counts.cache_written_pages += size
    for number in range(first, end):
        world.pages[number].swapped = 1
    counts.cache_dropped_pages += size
    if world.rules[0].dimensions == 1:
        discard(world, now, head, NOT_TOLD)
    free_guest_frame(world, vm, head, order)
    return True


@inner_apart
def page_out(world: World, now: Now, vm: Int) -> bool:
    """Have a guest free the frames of one of its coldest pages, a file's or a program's own; False if none can go."""
    first = file_goes(world, vm)
    if first and drop_file(world, now, vm):
        return True
    if page_to_swap(world, now, vm):
        return True
    return not first and drop_file(world, now, vm)  # type: ignore[no-any-return]


@inner_apart
def drop_cache(world: World, now: Now, vm: Int) -> bool:
    """Have a guest free its oldest page of clean cache; False if it has none."""
    guest = world.vms[vm]
    if guest.cached == 0:
        return False
    frame = np.int64(guest.cache_first)
    guest.cache_first = world.frames[frame].next_free
    guest.cached -= 1
    guest.used -= 1
    world.frames[frame].role = FREE
    if world.rules[0].dimensions == 1:
        discard(world, now, frame, NOT_TOLD)
    free_guest_frame(world, vm, frame, ZERO)
    world.counts[vm, guest.epoch].cache_dropped_pages += 1
    return True


@inner_apart
def make_guest_room(world: World, now: Now, vm: Int, size: Int) -> bool:
    """Have a guest find room for a new page among its own; False if it is out of memory."""
    guest = world.vms[vm]
    while guest.used + guest.ballooned + size > guest.limit:
        if not drop_cache(world, now, vm) and not page_out(world, now, vm):
            if not relieve(world.policies.balloon, world, now, vm, size):
                return False
    return True
