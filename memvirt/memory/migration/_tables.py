"""Page tables go to the node of most of their children, pages that they map and tables that they point to (vMitosis, ASPLOS'21)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner, inner_apart
from memvirt.memory.away import host_frame_of
from memvirt.memory.migration._frames import move_table
from memvirt.memory.numbers import end_of_frames, end_of_pages
from memvirt.memory.state import NOTHING, OF_GUEST, OF_HOST, SMALL, Now, World
from memvirt.typing import Int


@inner_apart
def decide(votes: NDArray[np.int64], world: World, now: Now, kind: Int, number: Int) -> None:
    """Move a table to the node of more than half of its children, if it is on another; and forget the votes."""
    hfn = host_frame_of(world, kind, number)
    total, best = np.int64(0), np.int64(0)
    for node in range(votes.size):
        total += votes[node]
        if votes[node] > votes[best]:
            best = np.int64(node)
    if hfn != NOTHING and 2 * votes[best] > total and np.int64(world.host_frames[hfn].node) != best:
        order = SMALL
        if kind == OF_GUEST and world.rules[0].dimensions == 2:
            order = np.int64(world.frames[world.guest_tables[number].frame].order)
        move_table(world, now, hfn >> order << order, order, best)
        counts = world.counts[now.vm, now.epoch]
        counts.migrated_pages[1 + kind] += 1
        counts.migration_ns += np.int64(world.rules[0].migrate_ns + world.rules[0].copy_ns)
    for node in range(votes.size):
        votes[node] = 0


@inner
def vote(votes: NDArray[np.int64], world: World, hfn: Int) -> None:
    """Have a child vote for its node."""
    if hfn != NOTHING:
        votes[world.host_frames[hfn].node] += 1


@inner_apart
def follow_host(votes: NDArray[np.int64], world: World, now: Now, vm: Int) -> None:
    """Have the host's tables behind a VM follow what they map, from the leaves up."""
    rows, levels = world.host_rows, world.host_rows.shape[1]
    first = np.int64(world.vms[vm].frame_base) >> 9
    end = end_of_frames(world, vm) >> 9
    for level in range(levels):
        for row in range(first, end):
            table = np.int64(rows[row, level])
            if level == 0:
                for frame in range(row << 9, (row + 1) << 9):
                    if world.frames[frame].order == 0:
                        vote(votes[0], world, np.int64(world.frames[frame].hfn))
            elif row == first or rows[row, level - 1] != rows[row - 1, level - 1]:
                below = host_frame_of(world, OF_HOST, np.int64(rows[row, level - 1]))
                large = np.int64(world.frames[row << 9].order) == 9 * level
                vote(votes[level], world, np.int64(world.frames[row << 9].hfn) if large else below)
            if row + 1 == end or rows[row + 1, level] != table:
                decide(votes[level], world, now, OF_HOST, table)


@inner_apart
def follow_guest(votes: NDArray[np.int64], world: World, now: Now, vm: Int) -> None:
    """Have a guest's or process's tables follow what they map, from the leaves up."""
    rows, pages = world.guest_rows, world.pages
    first = np.int64(world.vms[vm].page_base)
    end = end_of_pages(world, vm)
    for level in range(rows.shape[1]):
        for page in range(first, end):
            table, lowest = np.int64(rows[pages[page].row, level]), np.int64(pages[page].order) // 9
            if lowest == level and pages[page].first == page and pages[page].frame != NOTHING:
                vote(votes[level], world, np.int64(world.frames[pages[page].frame].hfn))
            elif lowest < level:
                below = np.int64(rows[pages[page].row, level - 1])
                if page == first or np.int64(rows[pages[page - 1].row, level - 1]) != below:
                    vote(votes[level], world, host_frame_of(world, OF_GUEST, below))
            if page + 1 == end or np.int64(rows[pages[page + 1].row, level]) != table:
                decide(votes[level], world, now, OF_GUEST, table)


@inner_apart
def follow_children(votes: NDArray[np.int64], world: World, now: Now, vm: Int) -> None:
    """Have those of a VM's tables follow their children that do."""
    if world.table_nodes[OF_HOST].follows and world.rules[0].dimensions == 2:
        follow_host(votes, world, now, vm)
    if world.table_nodes[OF_GUEST].follows:
        follow_guest(votes, world, now, vm)
