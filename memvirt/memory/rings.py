"""Guest frames behind which the same host frame lies: a ring of them, one of which stands for the host page in replacement."""

from __future__ import annotations

import numpy as np

from memvirt.jit import inner, inner_apart
from memvirt.memory.replacement import insert, remove
from memvirt.memory.state import NOTHING, World
from memvirt.typing import Int

#: A host page behind more guest frames than this stays where it is: so many entries are rewritten for one page that goes.
MOST_EVICTED = np.int64(256)


@inner
def represents(world: World, frame: Int) -> Int:
    """Name the item that stands in replacement for the host page behind a small guest frame; -1 if it can't be evicted."""
    host = world.host_frames[world.frames[frame].hfn]
    return np.int64(host.owner) if host.refs <= MOST_EVICTED else np.int64(-1)


@inner_apart
def join_ring(world: World, frame: Int, kept: Int) -> None:
    """Put the host page behind ``kept`` behind ``frame`` too, which has none."""
    joining, other = world.frames[frame], world.frames[kept]
    host = world.host_frames[other.hfn]
    if other.sharer == NOTHING:
        other.sharer = other.sharer_before = kept
        world.vms[other.vm].shared += 1
    following = np.int64(other.sharer)
    joining.sharer, joining.sharer_before = following, kept
    other.sharer = frame
    world.frames[following].sharer_before = frame
    joining.hfn = other.hfn
    host.refs += 1
    if host.refs == MOST_EVICTED + 1:
        remove(world.policies.replacement, np.int64(host.owner))
    world.vms[joining.vm].shared += 1
    world.vms[joining.vm].saved += 1


@inner_apart
def leave_ring(world: World, frame: Int) -> None:
    """Take a guest frame out of its ring; the host page stays with the others."""
    leaving = world.frames[frame]
    host = world.host_frames[leaving.hfn]
    following, before = np.int64(leaving.sharer), np.int64(leaving.sharer_before)
    world.frames[before].sharer = following
    world.frames[following].sharer_before = before
    leaving.sharer = leaving.sharer_before = NOTHING
    leaving.hfn = NOTHING
    world.vms[leaving.vm].shared -= 1
    listed = host.refs <= MOST_EVICTED
    if host.owner == frame:
        host.owner = following
        world.vms[world.frames[following].vm].saved -= 1
        if listed:
            remove(world.policies.replacement, frame)
            insert(world.policies.replacement, following)
    else:
        world.vms[leaving.vm].saved -= 1
    host.refs -= 1
    if not listed and host.refs <= MOST_EVICTED:
        insert(world.policies.replacement, np.int64(host.owner))
    if host.refs == 1:
        last = world.frames[following]
        last.sharer = last.sharer_before = NOTHING
        world.vms[last.vm].shared -= 1
