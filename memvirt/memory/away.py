"""Whether the page tables that map a page are on another node than the CPU that accesses it."""

from __future__ import annotations

import numpy as np

from memvirt.counters import Counter
from memvirt.jit import inner, inner_apart
from memvirt.memory.state import NOTHING, OF_GUEST, OF_HOST, World
from memvirt.typing import Int

COUNTERS = (
    Counter(
        "guest_tables_remote",
        "accesses",
        doc="to a page whose lowest table, its guest's or process's, is on another node, read or not; where pages or vCPUs move",
    ),
    Counter("host_tables_remote", "accesses", doc="the same of the host's table behind a VM"),
)


@inner
def host_frame_of(world: World, kind: Int, number: Int) -> Int:
    """Host frame of a table, `NOTHING` if there is none."""
    if kind == OF_HOST:
        return np.int64(world.host_tables[number].hfn)
    table = world.guest_tables[number]
    if world.rules[0].dimensions == 1 or table.frame == NOTHING:
        return np.int64(table.hfn)
    return np.int64(world.frames[table.frame].hfn)


@inner
def is_away(world: World, kind: Int, number: Int, node: Int) -> bool:
    """Whether a table is on another node."""
    hfn = host_frame_of(world, kind, number)
    if hfn == NOTHING or world.table_nodes[kind].copies > 0:
        return False
    return world.host_frames[hfn].node != node  # type: ignore[return-value]


@inner_apart
def note_tables(world: World, vm: Int, epoch: Int, page: Int, frame: Int, node: Int) -> None:
    """Count an access to a page whose lowest tables aren't on a node."""
    counts, mapped = world.counts[vm, epoch], world.pages[page]
    number = np.int64(world.guest_rows[mapped.row, np.int64(mapped.order) // 9])
    counts.guest_tables_remote += np.int64(is_away(world, OF_GUEST, number, node))
    if world.rules[0].host_levels > 0:  # none in one dimension
        number = np.int64(world.host_rows[frame >> 9, np.int64(world.frames[frame].order) // 9])
        counts.host_tables_remote += np.int64(is_away(world, OF_HOST, number, node))
