"""Handing out frame numbers and frames: guests' and the host's, small ones and aligned blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt.jit import inner
from memvirt.memory.state import BLOCK, DATA_AREA, NOTHING, SMALL, World
from memvirt.typing import Int


@inner
def end_of_pages(world: World, vm: Int) -> Int:
    """One past a VM's last page."""
    return np.int64(world.vms[vm + 1].page_base if vm + 1 < world.vms.size else world.pages.size)


@inner
def end_of_frames(world: World, vm: Int) -> Int:
    """One past a VM's last guest frame."""
    return np.int64(world.vms[vm + 1].frame_base if vm + 1 < world.vms.size else world.frames.size)


@inner
def take_large(bumps: Any, row: Int, size: Int) -> Int:
    """Hand out an aligned block of ``size`` frame numbers."""
    start = (bumps[row].block + size - 1) // size * size
    bumps[row].block = start + size
    return start  # type: ignore[no-any-return]


@inner
def take_small(bumps: Any, row: Int, area: Int, block: Int) -> Int:
    """Hand out the next frame number of an area, which takes ``block`` of them at a time."""
    bump = bumps[row + area]
    if bump.next == bump.end:
        bump.next = take_large(bumps, row, block)
        bump.end = bump.next + block
    frame = bump.next
    bump.next = frame + 1
    return frame  # type: ignore[no-any-return]


@inner
def push(world: World, lists: Any, frame: Int, order: Int) -> None:
    """Put guest frames of one page in front of one of their guest's two lists: of small pages, or of large ones."""
    large = np.int64(order > 0)
    world.frames[frame].next_free = lists[large]
    lists[large] = frame


@inner
def pop(world: World, lists: Any, order: Int) -> Int:
    """Take the first guest frames off a list; `NOTHING` if it is empty."""
    large = np.int64(order > 0)
    head = np.int64(lists[large])
    if head != NOTHING:
        lists[large] = world.frames[head].next_free
    return head


@inner
def free_frame(world: World, vm: Int, order: Int) -> Int:
    """Take global guest frames that were freed before, of small pages or of a large one; `NOTHING` if there are none.

    Those go last that the host was told of, as in Linux's free lists (mm/page_reporting.c), since it backs them no more.
    """
    guest = world.vms[vm]
    head = pop(world, guest.free, order)
    if head == NOTHING:
        head = pop(world, guest.reported, order)
    if head != NOTHING:
        guest.freed -= 1 << order
    return head


@inner
def guest_frame(world: World, vm: Int, order: Int) -> Int:
    """Take global guest frames for a data page: some that were freed before, or new ones."""
    head = free_frame(world, vm, order)
    if head != NOTHING:
        return head
    base = np.int64(world.vms[vm].frame_base)
    if order > 0:
        return np.int64(base + take_large(world.bumps, 2 * vm, 1 << order))
    return np.int64(base + take_small(world.bumps, 2 * vm, DATA_AREA, world.rules[0].block))


@inner
def free_guest_frame(world: World, vm: Int, frame: Int, order: Int) -> None:
    """Put a data page's frames on its guest's free list."""
    guest = world.vms[vm]
    guest.freed += 1 << order
    push(world, guest.free, frame, order)


@inner
def new_host_frame(world: World, node: Int, order: Int) -> Int:
    """Hand out host frames that were never used, whatever the capacity for data."""
    row = 2 * world.vms.size
    hfn = take_large(world.bumps, row, 1 << order) if order > 0 else take_small(world.bumps, row, DATA_AREA, BLOCK)
    for part in range(hfn, hfn + (1 << order)):
        world.host_frames[part].node = node
    return np.int64(hfn)


@inner
def free_host_frame(world: World, hfn: Int, order: Int) -> None:
    """Put a data frame, or a large page's block, back on its node's list."""
    world.nodes[world.host_frames[hfn].node].free += 1 << order
    world.clock[0].free += 1 << order
    world.host_frames[hfn].stable = 0
    put_on_list(world, hfn, order)


@inner
def put_on_list(world: World, hfn: Int, order: Int) -> None:
    """Put free frames on their node's list."""
    node = world.nodes[world.host_frames[hfn].node]
    if order > 0:
        world.host_frames[hfn].next_free = node.free_large
        node.free_large = hfn
    else:
        world.host_frames[hfn].next_free = node.free_small
        node.free_small = hfn


@inner
def listed_frame(world: World, number: Int, order: Int) -> Int:
    """Take a data frame off a node's lists, or one never used; -1 if there is none."""
    node = world.nodes[number]
    if order == 0 and node.free_small != NOTHING:
        hfn = np.int64(node.free_small)
        node.free_small = world.host_frames[hfn].next_free
        return hfn
    if order > 0 and node.free_large != NOTHING:
        hfn = np.int64(node.free_large)
        node.free_large = world.host_frames[hfn].next_free
        return hfn
    if node.capacity >= 1 << order:
        node.capacity -= 1 << order
        return np.int64(new_host_frame(world, number, order))
    if order == 0 and node.free_large != NOTHING:  # break a large page's block
        block = np.int64(node.free_large)
        node.free_large = world.host_frames[block].next_free
        for part in range(block + 511, block, -1):
            put_on_list(world, part, SMALL)
        return block
    return -1


@inner
def node_frame(world: World, number: Int, order: Int) -> Int:
    """Take a data frame of a node without reclaim; -1 if there is none."""
    hfn = np.int64(listed_frame(world, number, order))
    if hfn >= 0:
        world.nodes[number].free -= 1 << order
        world.clock[0].free -= 1 << order
    return hfn


@inner
def any_host_frame(world: World, first: Int, order: Int, allowed: Int) -> Int:
    """Take a data frame without reclaim, of node ``first`` or the next that has one and is ``allowed``; -1 if there is none."""
    for place in range(world.nodes.size):
        node = world.fallback[first, place]
        if allowed >> node & 1:
            hfn = node_frame(world, node, order)
            if hfn >= 0:
                return np.int64(hfn)
    return -1
