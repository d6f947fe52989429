"""Sharing a host page between guest frames of equal contents, breaking that at a write, and splitting large host pages."""

from __future__ import annotations

import numpy as np

from memvirt.counters import Counter
from memvirt.jit import inner_apart
from memvirt.memory.frames import add_spare_table, node_of_toucher, take_page, unback
from memvirt.memory.log import log_backing, log_remap
from memvirt.memory.numbers import any_host_frame, free_host_frame
from memvirt.memory.placement import choose_node
from memvirt.memory.replacement import insert, remove
from memvirt.memory.rings import join_ring, leave_ring
from memvirt.memory.state import HOST_FULL, NOTHING, OK, SMALL, ZERO, Now, World
from memvirt.types import HOST_MAP
from memvirt.typing import Int

COUNTERS = (
    Counter("merges", "pages", doc="merged with another"),
    Counter("cow_breaks", "pages", doc="merged pages that were copied at a write"),
    Counter("split_pages", "pages", doc="large host pages that were split"),
    Counter("host_scanning_ns", "ns", doc="CPU time of the host that looks for equal pages"),
    Counter("host_copying_ns", "ns", doc="CPU time of the host that copies merged pages"),
)


@inner_apart
def protect_merged(world: World, now: Now, frame: Int) -> None:
    """Make a host page read-only, as it is when it is first merged: its translation is loaded again."""
    hfn = np.int64(world.frames[frame].hfn)
    unback(world, now, frame, SMALL)
    world.frames[frame].hfn = hfn
    world.host_frames[hfn].stable = 1
    log_remap(world, now, frame, hfn, np.int64(world.frames[frame].vm))


@inner_apart
def share(world: World, now: Now, frame: Int, kept: Int) -> None:
    """Put the host page behind ``kept`` behind ``frame`` too; the one behind ``frame`` is free.

    Both are backed by small host pages, not the same one, and of equal contents; ``frame`` shares its own with none.
    """
    old = np.int64(world.frames[frame].hfn)
    if not world.host_frames[world.frames[kept].hfn].stable:
        protect_merged(world, now, kept)
    unback(world, now, frame, SMALL)
    remove(world.policies.replacement, frame)
    free_host_frame(world, old, SMALL)
    join_ring(world, frame, kept)
    vm = np.int64(world.frames[frame].vm)
    log_remap(world, now, frame, np.int64(world.frames[frame].hfn), vm)
    world.counts[vm, world.vms[vm].epoch].merges += 1
    world.counts[vm, world.vms[vm].epoch].host_scanning_ns += np.int64(world.rules[0].merge_ns)


@inner_apart
def break_share(world: World, now: Now, frame: Int, page: Int) -> Int:
    """Give a guest frame that is written to a host page of its own, a copy; `OK`, or `HOST_FULL`.

    If there was no free host page, what was evicted may be the very one that was to be copied: then the frame is backed no more.
    """
    node = choose_node(world.policies.placement, node_of_toucher(world, now), world.nodes.size)
    written = world.frames[frame]
    alone = written.sharer == NOTHING
    allowed = np.int64(world.vms[now.vm].nodes)
    if alone:
        hfn = np.int64(any_host_frame(world, node, SMALL, allowed))
    else:
        hfn = np.int64(take_page(world, now, node, SMALL, allowed))
    if hfn < 0 and not alone:
        return HOST_FULL
    if written.hfn == NOTHING:
        free_host_frame(world, hfn, SMALL)
        return OK
    old = np.int64(written.hfn)
    unback(world, now, frame, SMALL)
    written.hfn = old
    if written.sharer != NOTHING:
        leave_ring(world, frame)
    else:  # a merged page is copied even for the last that maps it, as Linux does (mm/memory.c, wp_can_reuse_anon_folio)
        remove(world.policies.replacement, frame)
        if hfn >= 0:
            free_host_frame(world, old, SMALL)
        else:  # there is no other; nothing need go to swap for a page that is freed the next moment
            hfn = old
    host = world.host_frames[hfn]
    host.refs, host.stable, host.owner = 1, 0, frame
    written.hfn, written.dirty = hfn, 1
    insert(world.policies.replacement, frame)
    log_backing(world, now, HOST_MAP, page, frame, hfn, ZERO, ZERO)
    world.counts[now.vm, now.epoch].cow_breaks += 1
    world.counts[now.vm, now.epoch].host_copying_ns += np.int64(world.rules[0].cow_ns)
    world.clock[0].copied_ns += world.rules[0].cow_ns  # the vCPU's own time: no wait for memory (PSI counts none, either)
    return OK


@inner_apart
def split(world: World, now: Now, unit: Int) -> bool:
    """Make small host pages of a large one; False if no frame is free for the table that maps them."""
    head = world.frames[unit]
    order, hfn, vm = np.int64(head.order), np.int64(head.hfn), np.int64(head.vm)
    dirty, swapped = np.int64(head.dirty), np.int64(head.swapped)
    if not add_spare_table(world, now, unit):
        return False
    remove(world.policies.replacement, unit)
    unback(world, now, unit, SMALL)
    for part in range(1 << order):
        frame = world.frames[unit + part]
        frame.hfn, frame.dirty, frame.swapped = hfn + part, dirty, swapped
        host = world.host_frames[hfn + part]
        host.refs, host.stable, host.owner = 1, 0, unit + part
        insert(world.policies.replacement, unit + part)
        log_remap(world, now, unit + part, hfn + part, vm)
    world.counts[vm, world.vms[vm].epoch].split_pages += 1
    return True
