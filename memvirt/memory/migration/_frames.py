"""Moving what lies in host frames to another node."""

from __future__ import annotations

import numpy as np

from memvirt.jit import inner, inner_apart
from memvirt.memory.log import log_event
from memvirt.memory.numbers import free_host_frame, node_frame
from memvirt.memory.state import FREE, NOTHING, TABLE_FRAME, ZERO, Now, World
from memvirt.types import TABLE_MOVE
from memvirt.typing import Int


@inner
def node_of(world: World, frame: Int) -> Int:
    """Node of the host frame behind a guest frame."""
    return np.int64(world.host_frames[world.frames[frame].hfn].node)


@inner
def is_table(world: World, unit: Int) -> bool:
    """Whether page tables lie in a host page that isn't charged, so that its frame is none of those for data."""
    return world.frames[unit].role == TABLE_FRAME and not world.rules[0].charge_tables  # type: ignore[return-value]


@inner
def can_move(world: World, unit: Int) -> bool:
    """Whether a host page may move: not one that several frames share, or that is merged and read-only (Linux: PageKsm)."""
    head = world.frames[unit]
    return head.hfn != NOTHING and head.sharer == NOTHING and not world.host_frames[head.hfn].stable  # type: ignore[return-value]


@inner_apart
def move_table(world: World, now: Now, hfn: Int, order: Int, node: Int) -> None:
    """Move a frame with page tables, or the host page that it is part of, to a node; it keeps its number."""
    for part in range(hfn, hfn + (1 << order)):
        world.host_frames[part].node = node
    log_event(world, now, TABLE_MOVE, NOTHING, ZERO, hfn, node, order, now.vm)


@inner_apart
def move_unit(world: World, now: Now, unit: Int, node: Int) -> bool:
    """Move the host page behind guest frames to a node; False if that has no room, or the VM may not be there."""
    order = np.int64(world.frames[unit].order)
    old = np.int64(world.frames[unit].hfn)
    if is_table(world, unit):
        move_table(world, now, old, order, node)
        return True
    if not np.int64(world.vms[now.vm].nodes) >> node & 1:
        return False
    hfn = np.int64(node_frame(world, node, order))
    if hfn < 0:
        return False
    for part in range(1 << order):
        world.frames[unit + part].hfn = hfn + part
        host, before = world.host_frames[hfn + part], world.host_frames[old + part]
        host.refs, host.stable, host.owner = before.refs, ZERO, before.owner
    free_host_frame(world, old, order)
    return True


@inner_apart
def pages_in(world: World, unit: Int) -> Int:
    """Pages of 4 KiB in the host page behind guest frames that somebody uses."""
    used = np.int64(0)
    for part in range(unit, unit + (1 << np.int64(world.frames[unit].order))):
        used += np.int64(world.frames[part].role != FREE)
    return used
