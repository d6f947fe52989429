"""What a guest gives its host: to its balloon free frames, then page cache, then its coldest pages; and what it reports as free."""

from __future__ import annotations

import numpy as np

from memvirt.counters import Counter
from memvirt.jit import inner, inner_apart
from memvirt.memory.frames import discard
from memvirt.memory.give import TOLD, drop_cache, page_out
from memvirt.memory.numbers import free_frame, free_guest_frame, pop, push
from memvirt.memory.share import split
from memvirt.memory.state import BALLOON, FREE, NOTHING, ZERO, Now, World
from memvirt.typing import Int

LARGE = np.int64(9)  #: order of the only large page that a balloon can hold

COUNTERS = (
    Counter("ballooned_pages", "pages", doc="that went into the balloon"),
    Counter("deflated_pages", "pages", doc="that came back from the balloon"),
)


@inner
def never_used(world: World, vm: Int) -> Int:
    """Frames of a guest's memory that it never used, and that its balloon hasn't got."""
    guest = world.vms[vm]
    return np.int64(guest.limit - guest.used - guest.freed - guest.ballooned)


@inner_apart
def give_to_host(world: World, now: Now, head: Int, order: Int) -> Int:
    """Let the host take back what is behind free guest frames; how many host frames that frees, -1 if it can't."""
    freed: Int = 0
    number = np.int64(head)
    while number < head + (1 << order):
        behind = np.int64(world.frames[number].order)
        unit = number >> behind << behind
        whole = unit >= head and unit + (1 << behind) <= head + (1 << order)
        if world.frames[unit].hfn == NOTHING and not whole:
            number = unit + (1 << behind)  # part of a larger page that isn't there
            continue
        if not whole:
            if not split(world, now, unit):
                return -1
            continue
        freed += discard(world, now, unit, TOLD)
        number = unit + (1 << behind)
    return freed


@inner_apart
def keep_in_balloon(world: World, now: Now, head: Int, order: Int) -> Int:
    """Put free guest frames into their guest's balloon; how many host frames that frees."""
    guest = world.vms[world.frames[head].vm]
    vm = np.int64(world.frames[head].vm)
    size = 1 << order
    for number in range(head, head + size):
        world.frames[number].role = BALLOON
    push(world, guest.balloon, head, order)
    guest.ballooned += size
    world.counts[vm, guest.epoch].ballooned_pages += size
    return max(give_to_host(world, now, head, order), 0)


@inner_apart
def inflate(world: World, now: Now, vm: Int) -> Int:
    """Have a guest give its balloon one page more, or a large page's frames; how many host frames that frees, -1 if it gives none.

    Free frames that the guest used go first, then all that it never used at once, clean cache, and what it pages out; until the
    balloon holds the most that it may.
    """
    guest = world.vms[vm]
    left = np.int64(guest.balloon_most - guest.ballooned)
    if left <= 0:
        return -1
    if guest.freed == 0:
        unused = np.int64(min(never_used(world, vm), left))
        if unused > 0:
            guest.ballooned += unused
            guest.never_used += unused
            world.counts[vm, guest.epoch].ballooned_pages += unused
            return 0
        if not drop_cache(world, now, vm) and not page_out(world, now, vm):
            return -1
    order = ZERO
    head = free_frame(world, vm, order)
    if head == NOTHING:
        order = LARGE
        head = free_frame(world, vm, order)
    return keep_in_balloon(world, now, head, order)


@inner_apart
def deflate(world: World, now: Now, vm: Int, pages: Int) -> None:
    """Give a guest frames of its balloon back, ``pages`` or a little more; the host backs them when they are used."""
    guest = world.vms[vm]
    given = np.int64(min(pages, np.int64(guest.never_used)))
    guest.never_used -= given
    while given < pages and guest.ballooned - given > guest.never_used:
        order = ZERO
        head = pop(world, guest.balloon, order)
        if head == NOTHING:
            order = LARGE
            head = pop(world, guest.balloon, order)
        for number in range(head, head + (1 << order)):
            world.frames[number].role = FREE
        free_guest_frame(world, vm, head, order)
        given += 1 << order
    guest.ballooned -= given
    world.counts[vm, guest.epoch].deflated_pages += given


@inner_apart
def tell_of(world: World, now: Now, vm: Int, head: Int, order: Int) -> Int:
    """Have a guest tell the host of a free page that was taken off its list; host frames freed, -1 if the host can't take it now.

    The host forgets what it keeps of it elsewhere, too. A page that it can't take is on the list again, to be told of another time.
    """
    guest = world.vms[vm]
    freed = give_to_host(world, now, head, order)
    if freed < 0:
        push(world, guest.free, head, order)
        return -1
    push(world, guest.reported, head, order)
    return np.int64(freed)
