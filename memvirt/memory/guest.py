"""The guest's side: mapping a page at its first touch, and unmapping it."""

from __future__ import annotations

import numpy as np

from memvirt.counters import Counter
from memvirt.jit import inner, inner_apart
from memvirt.memory.device import later, read_pages, wait_until
from memvirt.memory.frames import back, discard, install, take_page, take_table
from memvirt.memory.give import NOT_TOLD, TOLD, free_slots, make_guest_room, unmap_page
from memvirt.memory.log import log_cow_fault, log_drop, log_guest_map, log_table_write
from memvirt.memory.numbers import free_guest_frame, guest_frame, take_small
from memvirt.memory.page_cache import ROUND, note_cost
from memvirt.memory.placement import choose_node
from memvirt.memory.replacement import insert
from memvirt.memory.share import break_share
from memvirt.memory.state import (
    DATA,
    FOR_DATA,
    FOR_TABLE,
    GUEST_FULL,
    HOST_FULL,
    NOTHING,
    OF_GUEST,
    OK,
    ONE,
    TABLE_FRAME,
    ZERO,
    Now,
    World,
)
from memvirt.typing import Int

ATTEMPTS = 64  #: at getting a page in that goes out again while another is made room for


COUNTERS = (
    Counter("minor_faults", "faults", doc="the guest's page faults without I/O"),
    Counter("guest_cow_faults", "faults", doc="first writes after a fork, also among `minor_faults`"),
    Counter("guest_cleared_pages", "pages", doc="that the guest's kernel clears, for its programs and for tables"),
    Counter("guest_copied_pages", "pages", doc="that a first write after a fork copies"),
    Counter("unmapped_entries", "entries", doc="that system calls of the workload unmap, a larger page's being one"),
    Counter("protected_entries", "entries", doc="that system calls of the workload protect, a larger page's being one"),
    Counter("guest_major_faults", "faults", doc="the guest's page faults with I/O, on its own swap or disk"),
    Counter("guest_swap_in_pages", "pages", doc="read from the guest's own swap"),
    Counter("stale_read_pages", "pages", doc="read from host swap for a guest that reads other contents into them from its disk"),
    Counter("false_read_pages", "pages", doc="read from host swap for a guest that clears them"),
)


@inner
def set_table_order(world: World, frame: Int) -> None:
    """Give the host page behind a new table's frame the size that is set for tables, unless it is there already."""
    order = world.rules[0].table_order
    if world.frames[frame].order != order and world.frames[frame].hfn == NOTHING:
        first = frame >> order << order
        for part in range(first, first + (1 << order)):
            world.frames[part].order = order


@inner
def new_contents(world: World) -> Int:
    """Number contents that were never seen before."""
    world.clock[0].contents += 1
    return np.int64(world.clock[0].contents)


@inner_apart
def add_tables(world: World, now: Now, page: Int) -> Int:
    """Allocate the tables that the guest lacks to map a page, root first; their number, -1 if the host is full."""
    mapped = world.pages[page]
    lowest = np.int64(mapped.order) // 9
    new = ZERO
    for level in range(world.guest_rows.shape[1] - 1, lowest - 1, -1):
        table = world.guest_tables[world.guest_rows[mapped.row, level]]
        if table.frame == NOTHING:
            number = take_small(world.bumps, 2 * now.vm, world.rules[0].table_area, world.rules[0].block)
            table.frame = world.vms[now.vm].frame_base + number
            world.frames[table.frame].role = TABLE_FRAME
            world.frames[table.frame].content = new_contents(world)
            if world.rules[0].table_order >= 0:
                set_table_order(world, np.int64(table.frame))
            if world.rules[0].dimensions == 1:
                taken = take_table(world, now, OF_GUEST)
                if taken < 0:
                    return -1
                table.hfn = taken
            new += 1
    return new


@inner_apart
def back_new(world: World, now: Now, page: Int, new: Int) -> bool:
    """Have the host back what the guest's kernel writes in a fault: its ``new`` tables, and the page that it clears."""
    mapped = world.pages[page]
    lowest = np.int64(mapped.order) // 9
    for level in range(lowest + new - 1, lowest - 1, -1):
        frame = np.int64(world.guest_tables[world.guest_rows[mapped.row, level]].frame)
        if world.frames[frame].hfn == NOTHING and not back(world, now, frame, NOTHING, FOR_TABLE):
            return False
    frame = np.int64(mapped.frame)
    for number in range(mapped.first, mapped.end if world.rules[0].contents else mapped.first):
        cleared = np.int64(world.pages[number].frame)  # it may be merged still, from before the guest freed it
        hfn = np.int64(world.frames[cleared].hfn)
        if hfn == NOTHING or not world.host_frames[hfn].stable:
            continue
        if cleared != frame:  # of a larger page; it gets a host page of its own when it is touched
            discard(world, now, cleared, TOLD)
        elif break_share(world, now, frame, NOTHING) != OK:
            return False
    return world.frames[frame].hfn != NOTHING or back(world, now, frame, NOTHING, FOR_DATA)


@inner_apart
def note_host_order(world: World, now: Now, page: Int) -> None:
    """Record what size of host page lies behind a mapping, and say so where it isn't what it was at first."""
    mapped = world.pages[page]
    host_order = np.int64(world.frames[mapped.frame].order)
    if mapped.host_order == 255:
        mapped.host_order = host_order
    elif mapped.host_order != host_order:
        log_drop(world, now, page, host_order, now.vm)


@inner_apart
def guest_map(world: World, now: Now, page: Int) -> Int:
    """Handle a guest page fault: new tables root first, a data frame, and host frames behind them.

    In two dimensions the guest's kernel writes the tables and clears the page, and so makes the host back
    them, before the access is tried again. Returns `OK`, `GUEST_FULL` or `HOST_FULL`.
    """
    vm, mapped = now.vm, world.pages[page]
    order = np.int64(mapped.order)
    size = 1 << order
    if not make_guest_room(world, now, vm, size):
        return GUEST_FULL
    new = add_tables(world, now, page)
    if new < 0:
        return HOST_FULL
    head = guest_frame(world, vm, order)
    world.vms[vm].used += size
    for number in range(mapped.first, mapped.end):
        other = world.pages[number]
        other.frame = head + (other.vpn & (size - 1))
        other.cow = 0
        world.frames[other.frame].page = number
        world.frames[other.frame].role = DATA
        world.frames[other.frame].content = other.content
    hfn: Int = ZERO
    if world.rules[0].dimensions == 1:
        node = choose_node(world.policies.placement, now.node, world.nodes.size)
        hfn = take_page(world, now, node, order, np.int64(world.vms[vm].nodes))
        if hfn < 0:
            return HOST_FULL
        for part in range(head, head + size):
            world.frames[part].order = order
        install(world, now, head, order, hfn, ONE)
        hfn += np.int64(mapped.frame) - head
    event = world.clock[0].events
    log_guest_map(world, now, page, np.int64(mapped.frame), hfn, new, ZERO)
    from_disk = mapped.swapped or mapped.file
    world.counts[vm, now.epoch].minor_faults += 1
    world.counts[vm, now.epoch].guest_cleared_pages += new if from_disk else new + size
    if world.rules[0].dimensions == 2:
        counts = world.counts[vm, now.epoch]
        read = counts.swap_in_pages - counts.readahead_pages
        if not back_new(world, now, page, new):
            return HOST_FULL
        read = counts.swap_in_pages - counts.readahead_pages - read
        counts.stale_read_pages += read if from_disk else 0
        counts.false_read_pages += 0 if from_disk else read
    if not world.clock[0].quiet:
        world.events[event].order = world.frames[mapped.frame].order
    for number in range(mapped.first, mapped.end):
        note_host_order(world, now, number)
    insert(world.policies.guest, np.int64(mapped.first))
    if mapped.file:
        map_file(world, now, page)
    elif mapped.swapped:
        swap_in_guest(world, now, page)
    return OK


@inner_apart
def map_file(world: World, now: Now, page: Int) -> None:
    """Take a file's page into the page cache; the access waits for one that had been dropped, which is read again."""
    guest, mapped = world.vms[now.vm], world.pages[page]
    size = 1 << np.int64(mapped.order)
    guest.files += size
    world.pages[mapped.first].written = -1
    if not mapped.swapped:
        return
    free_slots(world, now.vm, page)
    note_cost(world, now.vm, size, ZERO)
    guest.came_back = ROUND
    wait_until(world, read_pages(world, now, size))
    world.counts[now.vm, now.epoch].guest_major_faults += 1
    world.counts[now.vm, now.epoch].cache_read_pages += size


@inner_apart
def swap_in_guest(world: World, now: Now, page: Int) -> None:
    """Read a page from the guest's own swap, which keeps it if less than half of it is in use; the access waits."""
    guest = world.vms[now.vm]
    size = 1 << np.int64(world.pages[page].order)
    guest.copies += size
    guest.guest_read += size
    note_cost(world, now.vm, ZERO, size)
    if 2 * guest.guest_swapped > guest.guest_swap:
        free_slots(world, now.vm, page)
    wait_until(world, read_pages(world, later(world, now), size))
    world.counts[now.vm, now.epoch].guest_major_faults += 1
    world.counts[now.vm, now.epoch].guest_swap_in_pages += size


@inner_apart
def fault(world: World, now: Now, page: Int, write: Int) -> Int:
    """Bring a page in: map it, back it, and give it a host page of its own if it is written; `OK`, or what is full."""
    mapped = world.pages[page]
    for _ in range(ATTEMPTS):
        if mapped.frame == NOTHING:
            status = guest_map(world, now, page)
            if status != OK:
                return status  # type: ignore[no-any-return]
        frame = np.int64(mapped.frame)
        if frame == NOTHING:
            continue
        hfn = np.int64(world.frames[frame].hfn)
        if hfn == NOTHING:
            if not back(world, now, frame, page, FOR_DATA):
                return HOST_FULL
        elif write and world.host_frames[hfn].stable:
            if break_share(world, now, frame, page) != OK:
                return HOST_FULL
        else:
            return OK
    return HOST_FULL


@inner_apart
def guest_unmap(world: World, now: Now, page: Int) -> None:
    """Unmap a page (all of its larger page); its frames are free for the guest, or for the host in one dimension."""
    mapped = world.pages[page]
    order = np.int64(mapped.order)
    if mapped.swapped:
        free_slots(world, now.vm, page)
    if mapped.frame != NOTHING:
        world.counts[now.vm, now.epoch].unmapped_entries += 1
        head = unmap_page(world, now, page)
        if world.rules[0].dimensions == 1:
            discard(world, now, head, NOT_TOLD)
        free_guest_frame(world, now.vm, head, order)
    for number in range(mapped.first, mapped.end):
        world.pages[number].content = new_contents(world)


@inner_apart
def table_write(world: World, now: Now, page: Int) -> None:
    """Rewrite the table entry of a mapped page, as mprotect would, and INVLPG it: its translation must be loaded again."""
    frame = world.pages[page].frame
    if frame == NOTHING:
        return
    mapped = world.pages[page]
    whole = np.int64(world.frames[frame].order) >= np.int64(mapped.order)  # else the page has entries of smaller pages
    first, end = (page, page + 1) if whole else (np.int64(mapped.first), np.int64(mapped.end))
    log_table_write(world, now, page, np.int64(frame), end - first, np.int64(mapped.order))
    for number in range(first, end):
        behind = np.int64(world.frames[world.pages[number].frame].order)
        log_drop(world, now, number, behind, now.vm)


@inner_apart
def protect(world: World, now: Now, page: Int) -> None:
    """Make a mapped page read-only, as fork does to what parent and child share; the flush follows for all of them."""
    mapped = world.pages[page]
    if mapped.frame == NOTHING or mapped.first != page:  # one entry for a larger page
        return
    world.counts[now.vm, now.epoch].protected_entries += 1
    for number in range(mapped.first, mapped.end):
        world.pages[number].cow = 1
    log_table_write(world, now, page, np.int64(mapped.frame), ZERO, np.int64(mapped.order))


@inner_apart
def break_cow(world: World, now: Now, page: Int) -> None:
    """Take the fault of a write to a page that a fork made read-only; the entry is rewritten, writable again."""
    mapped = world.pages[page]
    for number in range(mapped.first, mapped.end):
        world.pages[number].cow = 0
    log_cow_fault(world, now, page, np.int64(mapped.frame), np.int64(mapped.order))
    world.counts[now.vm, now.epoch].minor_faults += 1
    world.counts[now.vm, now.epoch].guest_cow_faults += 1
    world.counts[now.vm, now.epoch].guest_copied_pages += np.int64(1) << np.int64(mapped.order)
    table_write(world, now, page)
