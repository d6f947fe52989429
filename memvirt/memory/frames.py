"""The host's side: backing guest frames, and taking the frames back."""

from __future__ import annotations

import numpy as np

from memvirt.counters import Counter
from memvirt.jit import inner, inner_apart
from memvirt.memory.compression import drop, load, store
from memvirt.memory.device import later, read_pages, wait_until, write_pages
from memvirt.memory.log import log_backing, log_drop, log_evict, log_remap
from memvirt.memory.numbers import any_host_frame, free_host_frame, new_host_frame
from memvirt.memory.page_cache import is_clean
from memvirt.memory.placement import choose_node
from memvirt.memory.readahead import window
from memvirt.memory.reclaim import make_room
from memvirt.memory.replacement import forget, insert, lingers, remove, victim_of
from memvirt.memory.rings import leave_ring
from memvirt.memory.state import (
    AS_DATA,
    CACHE,
    EVERY_NODE,
    FREE,
    INTERLEAVE,
    NOTHING,
    OF_GUEST,
    OF_HOST,
    ONE,
    SMALL,
    ZERO,
    Now,
    World,
)
from memvirt.memory.work import host_reclaims
from memvirt.types import HOST_MAP, SWAP_IN
from memvirt.typing import Int

CHARGE_BATCH = 64  #: pages that are charged at a time (MEMCG_CHARGE_BATCH)
MOST_DELAY_NS, LEAST_DELAY_NS = 2e9, 10e6  #: for which who is beyond its `high` sleeps (MEMCG_MAX_HIGH_DELAY_JIFFIES, HZ / 100)

COUNTERS = (
    Counter("host_minor_faults", "faults", doc="the host's faults without I/O"),
    Counter("host_cleared_pages", "pages", doc="that the host clears behind the guest's, and for tables of its own"),
    Counter("major_faults", "faults", doc="the host's faults with I/O"),
    Counter("swap_in_pages", "pages", doc="read from host swap, read-ahead included"),
    Counter("swap_out_pages", "pages", doc="written to host swap"),
    Counter("silent_write_pages", "pages", doc="those of them that the guest has on its disk, or has freed: written for nothing"),
    Counter("refaults", "pages", doc="that the host had taken and that came back, read ahead or not (Linux: `workingset_refault`)"),
    Counter("activations", "pages", doc="those that came back before as many others of the VM went as it has resident"),
    Counter("readahead_pages", "pages", doc="neighbours that were read along from swap"),
    Counter("decompressions", "pages", doc="back from the compressed cache"),
)


@inner_apart
def unback(world: World, now: Now, unit: Int, later: Int) -> None:
    """Drop a host page's translations; the guest frames before it are backed no more, and of order ``later``.

    Only pages that were accessed since the host page came can be in a TLB or a shadow table, so only their
    translations are dropped; all, if the page is split, since their order changes.
    """
    head = world.frames[unit]
    order, owner = np.int64(head.order), np.int64(head.vm)
    size = 1 << order
    dropped = 0
    for number in range(unit, unit + size):
        frame = world.frames[number]
        if frame.page != NOTHING and (frame.accessed or later != order):
            dropped += 1
    log_evict(world, now, unit, dropped, order, owner)
    for number in range(unit, unit + size):
        frame = world.frames[number]
        if frame.page != NOTHING and (frame.accessed or later != order):
            log_drop(world, now, np.int64(frame.page), later, owner)
        frame.hfn = NOTHING
        frame.order = later
        frame.accessed = 0
        frame.gone = np.int64(world.vms[owner].evicted) & 0x7FFFFFFF


@inner_apart
def has_slots(world: World, unit: Int) -> bool:
    """Whether host swap has room for a host page, were it to go; who is in a compressed cache has a slot as well (zswap, ESX)."""
    slots = np.int64(world.rules[0].slots)
    if slots == 0:
        return True
    used = np.int64(1) << np.int64(world.frames[unit].order)
    used = max(used, np.int64(world.host_frames[world.frames[unit].hfn].refs))
    for number in range(world.vms.size):
        used += np.int64(world.vms[number].swapped + world.vms[number].compressed)
    return used <= slots  # type: ignore[return-value]


@inner_apart
def swap_out(world: World, now: Now, unit: Int, size: Int, written: Int) -> None:
    """Leave the contents of guest frames to host swap, where they must be ``written`` unless it holds them already."""
    owner = np.int64(world.frames[unit].vm)
    if written:
        counts = world.counts[owner, world.vms[owner].epoch]
        counts.swap_out_pages += size
        for number in range(unit, unit + size):
            frame = world.frames[number]
            silent = frame.role == CACHE or frame.role == FREE or (frame.page != NOTHING and is_clean(world, now, frame.page))
            counts.silent_write_pages += silent
        host_reclaims(world, owner, size * world.rules[0].swap_out_ns)
        write_pages(world, now, size)
    for number in range(unit, unit + size):
        world.frames[number].swapped = 1
        world.frames[number].dirty = 0
    world.vms[owner].swapped += size


@inner_apart
def evict_shared(world: World, now: Now, unit: Int) -> None:
    """Take a host page away from all guest frames before it; its contents are written once."""
    host = world.host_frames[world.frames[unit].hfn]
    written = np.int64(0)
    member = np.int64(unit)
    while member != NOTHING:
        frame = world.frames[member]
        following = np.int64(frame.sharer)
        guest = world.vms[frame.vm]
        guest.evicted += 1
        host_reclaims(world, np.int64(frame.vm), world.rules[0].reclaim_ns)
        unback(world, now, member, SMALL)
        dirty = np.int64(frame.dirty)
        swap_out(world, now, member, ONE, np.int64(dirty and not written))
        written |= dirty
        frame.sharer = frame.sharer_before = NOTHING
        guest.resident -= 1
        guest.shared -= 1
        guest.saved -= member != host.owner
        member = following if following != unit else NOTHING


@inner_apart
def evict(world: World, now: Now, unit: Int) -> None:
    """Take a host page away: its contents stay in memory compressed, or go to swap."""
    head = world.frames[unit]
    hfn, order = np.int64(head.hfn), np.int64(head.order)
    remove(world.policies.replacement, unit)
    if world.host_frames[hfn].refs > 1:
        evict_shared(world, now, unit)
        free_host_frame(world, hfn, order)
        return
    world.vms[head.vm].evicted += 1 << order
    host_reclaims(world, np.int64(head.vm), world.rules[0].reclaim_ns)
    unback(world, now, unit, ZERO if world.rules[0].split else order)
    free_host_frame(world, hfn, order)
    world.vms[head.vm].resident -= 1 << order
    if order > 0 or not store(world.policies.compression, world, now, unit):
        swap_out(world, now, unit, 1 << order, np.int64(head.dirty))


@inner_apart
def beyond(world: World, now: Now, order: Int, most: Int) -> Int:
    """By how many pages a VM that grows is beyond ``most`` in the end, though it gives pages of its own while it has any."""
    guest = world.vms[now.vm]
    while guest.resident - guest.saved + (1 << order) > most:
        unit = np.int64(victim_of(world.policies.replacement, now.vm))
        if unit < 0 or not has_slots(world, unit):
            break
        evict(world, now, unit)
    return max(guest.resident - guest.saved + (1 << order) - most, 0)  # type: ignore[return-value]


@inner
def high_delay_ns(over: float, pages: Int) -> float:
    """For how long a VM is held up that got so many pages while it was a share ``over`` beyond its `high` (ns).

    After `calculate_high_delay` and `mem_cgroup_handle_over_high` (mm/memcontrol.c): over² s a page, 2 s at the most, and nothing
    up to 10 ms.
    """
    delay = min(over * over * pages * 1e9, MOST_DELAY_NS)
    return delay if delay > LEAST_DELAY_NS else 0.0


@inner_apart
def keep_to_high(world: World, now: Now, order: Int) -> None:
    """Have a VM that would grow beyond its `high` give pages of its own, and hold it up where it has none to give."""
    guest = world.vms[now.vm]
    over = beyond(world, now, order, np.int64(guest.high))
    if over == 0:
        return
    guest.over += 1 << order
    if guest.over >= CHARGE_BATCH:  # each page of which stands for `scale`, and so does each wait
        delay = high_delay_ns(over / guest.high, np.int64(guest.over)) * world.rules[0].scale
        guest.over = 0
        if delay > 0.0:
            wait_until(world, now.time_ns + delay)


@inner_apart
def take_page(world: World, now: Now, node: Int, order: Int, allowed: Int) -> Int:
    """Take a data frame of an ``allowed`` node, reclaiming until there is one; -1 if reclaim gives up.

    Reclaim takes pages whatever node they are on, so it isn't asked for room on some nodes alone.
    """
    most = np.int64(world.vms[now.vm].most)
    if most > 0 and beyond(world, now, order, most) > 0:
        return -1
    if world.vms[now.vm].high > 0:
        keep_to_high(world, now, order)
    hfn = any_host_frame(world, node, order, allowed)
    while hfn < 0:
        if allowed != EVERY_NODE or not make_room(world.policies.reclaim, world, now, order):
            return -1
        hfn = any_host_frame(world, node, order, allowed)
    return np.int64(hfn)


@inner
def node_of_toucher(world: World, now: Now) -> Int:
    """Name the node that who touches memory is on: the vCPU's in its guest's eyes where that is shown nodes, else the CPU's."""
    number = np.int64(world.cpus[now.cpu].current)
    if number != NOTHING and world.actors[number].vm == now.vm and world.actors[number].home != NOTHING:
        return np.int64(world.actors[number].home)
    return np.int64(now.node)


@inner
def table_node(world: World, now: Now, kind: Int) -> Int:
    """Name the node for a table of a kind, `OF_GUEST` or `OF_HOST`."""
    chosen = world.table_nodes[kind]
    if chosen.node >= 0:
        return np.int64(chosen.node)
    here = np.int64(node_of_toucher(world, now) if kind == OF_GUEST else now.node)
    if chosen.node == AS_DATA:
        return np.int64(choose_node(world.policies.placement, here, world.nodes.size))
    if chosen.node == INTERLEAVE:
        node = np.int64(chosen.turn)
        chosen.turn = (node + 1) % world.nodes.size
        return node
    return here


@inner_apart
def take_table(world: World, now: Now, kind: Int) -> Int:
    """Take a frame for a page table of a kind, from beside the data frames unless tables are charged; -1 if none."""
    node = table_node(world, now, kind)
    if world.rules[0].charge_tables:
        return np.int64(take_page(world, now, node, SMALL, EVERY_NODE))
    return np.int64(new_host_frame(world, node, SMALL))


@inner
def own(world: World, unit: Int, order: Int, hfn: Int) -> None:
    """Put a host page behind guest frames, for them alone."""
    for part in range(1 << order):
        world.frames[unit + part].hfn = hfn + part
        world.frames[unit + part].ahead = 0
        host = world.host_frames[hfn + part]
        host.refs = 1
        host.stable = 0
        host.owner = unit


@inner_apart
def note_refault(world: World, now: Now, unit: Int, size: Int) -> None:
    """Count pages that come back, and those that came before as many others of their VM went as it has resident.

    After Linux (mm/workingset.c, `workingset_refault`), which counts all of a control group's, and activates those of a distance up
    to its active pages, of which the host knows nothing here.
    """
    guest = world.vms[world.frames[unit].vm]
    distance = (np.int64(guest.evicted) - np.int64(world.frames[unit].gone)) & 0x7FFFFFFF
    world.counts[now.vm, now.epoch].refaults += size
    if distance <= guest.resident:
        world.counts[now.vm, now.epoch].activations += size


@inner
def install(world: World, now: Now, unit: Int, order: Int, hfn: Int, evictable: Int) -> bool:
    """Put a host page behind guest frames; True if its contents are read from swap, for which the access then waits."""
    clock, head = world.clock[0], world.frames[unit]
    size = 1 << order
    own(world, unit, order, hfn)
    for part in range(size):
        world.frames[unit + part].accessed = clock.quiet  # a prefault leaves everything as if accessed
    head.dirty = 0 if head.swapped else 1
    reads = head.swapped and not lingers(world.policies.replacement, unit)
    if evictable:
        insert(world.policies.replacement, unit)
        world.vms[head.vm].resident += size
    if head.packed or reads:  # what still lingers never left
        note_refault(world, now, unit, size)
    if head.packed < 0:  # zeros, of which nothing was kept
        load(world.policies.compression, world, now, unit)
        world.counts[now.vm, now.epoch].host_cleared_pages += 1
        return False
    if head.packed:
        load(world.policies.compression, world, now, unit)
        wait_until(world, now.time_ns + world.rules[0].decompress_ns)
        world.counts[now.vm, now.epoch].decompressions += 1
        world.counts[now.vm, now.epoch].host_compressing_ns += np.int64(world.rules[0].decompress_ns)
        return False
    if head.swapped:
        world.vms[head.vm].swapped -= size
    if not reads:
        return False
    wait_until(world, read_pages(world, later(world, now), size))
    world.counts[now.vm, now.epoch].major_faults += 1
    world.counts[now.vm, now.epoch].swap_in_pages += size
    return True


@inner
def host_frame_for(world: World, now: Now, frame: Int, holds_table: Int) -> Int:
    """Take the host frame, or block of frames, that is to back a guest frame; -1 if none is to be had."""
    if holds_table:
        node = table_node(world, now, OF_GUEST)
    else:
        node = np.int64(choose_node(world.policies.placement, node_of_toucher(world, now), world.nodes.size))
    order = np.int64(world.frames[frame].order)
    if holds_table and not world.rules[0].charge_tables:
        return np.int64(new_host_frame(world, node, order))
    allowed = EVERY_NODE if holds_table else np.int64(world.vms[now.vm].nodes)
    if order > 0 and world.rules[0].split:
        hfn = any_host_frame(world, node, order, allowed)
        if hfn >= 0:
            return np.int64(hfn)
        unit = frame >> order << order  # no block is free: small pages from now on, as Linux falls back
        for part in range(unit, unit + (1 << order)):
            world.frames[part].order = 0
        order = SMALL
    return np.int64(take_page(world, now, node, order, allowed))


@inner_apart
def add_lowest_table(world: World, now: Now, frame: Int) -> Int:
    """Give a guest frame the host table whose entries map small pages; how many are new, -1 if there is no frame for it."""
    if has_lowest_table(world, frame):
        return 0
    taken = take_table(world, now, OF_HOST)
    if taken < 0:
        return -1
    world.host_tables[world.host_rows[frame >> 9, 0]].hfn = taken
    return 1


@inner
def has_lowest_table(world: World, frame: Int) -> bool:
    """Whether a guest frame has the host table whose entries map small pages, or needs none."""
    return world.rules[0].host_levels == 0 or world.host_tables[world.host_rows[frame >> 9, 0]].hfn != NOTHING  # type: ignore[no-any-return]


@inner_apart
def add_spare_table(world: World, now: Now, frame: Int) -> bool:
    """As `add_lowest_table`, but without reclaim, which may be what asks for it; False if no frame is free.

    Kernels that call each other in a ring would run when compiled, but crash when they come from numba's cache.
    """
    if has_lowest_table(world, frame):
        return True
    node = table_node(world, now, OF_HOST)
    if world.rules[0].charge_tables:
        taken = np.int64(any_host_frame(world, node, SMALL, EVERY_NODE))
    else:
        taken = np.int64(new_host_frame(world, node, SMALL))
    if taken < 0:
        return False
    world.host_tables[world.host_rows[frame >> 9, 0]].hfn = taken
    return True


@inner_apart
def back(world: World, now: Now, frame: Int, page: Int, holds_table: Int) -> bool:
    """Back a guest frame (all of its host page): host tables first, root first, then the frame itself.

    ``page`` is the guest's page whose access found it missing, `NOTHING` if the guest's kernel did. False if
    there is no frame to be had.
    """
    new: Int = 0
    for level in range(world.rules[0].host_levels - 1, np.int64(world.frames[frame].order) // 9 - 1, -1):
        table = world.host_tables[world.host_rows[frame >> 9, level]]
        if table.hfn == NOTHING:
            taken = take_table(world, now, OF_HOST)
            if taken < 0:
                return False
            table.hfn = taken
            new += 1
    hfn = host_frame_for(world, now, frame, holds_table)
    if hfn < 0:
        return False
    order = np.int64(world.frames[frame].order)
    if order == 0:  # it may have fallen back to a small page
        added = add_lowest_table(world, now, frame)
        if added < 0:
            return False
        new += added
    unit = frame >> order << order
    fresh = not world.frames[unit].packed and not world.frames[unit].swapped
    world.counts[now.vm, now.epoch].host_cleared_pages += new + (1 << order) if fresh else np.int64(new)
    from_swap = install(world, now, unit, order, hfn, 1 - holds_table)
    if not from_swap:
        world.counts[now.vm, now.epoch].host_minor_faults += 1
    log_backing(world, now, SWAP_IN if from_swap else HOST_MAP, page, unit, hfn, new, order)
    if from_swap and order == 0 and world.rules[0].readahead > 1:
        read_ahead(world, now, unit)
    return True


@inner_apart
def read_ahead(world: World, now: Now, unit: Int) -> None:
    """Read the swapped-out neighbours of a page that comes from swap with it: those in its window."""
    first, end = window(world, unit)
    vm, read = np.int64(world.frames[unit].vm), np.int64(0)
    for number in range(first, min(end, world.frames.size)):
        frame = world.frames[number]
        if frame.vm != vm or frame.hfn != NOTHING or not frame.swapped or frame.packed or frame.order > 0:
            continue
        node = choose_node(world.policies.placement, node_of_toucher(world, now), world.nodes.size)
        hfn = take_page(world, now, node, SMALL, np.int64(world.vms[vm].nodes))
        if hfn < 0:
            break
        own(world, number, SMALL, hfn)
        frame.dirty = 0
        frame.ahead = 1
        insert(world.policies.replacement, number)
        world.vms[vm].resident += 1
        world.vms[vm].swapped -= 1
        note_refault(world, now, np.int64(number), ONE)
        log_remap(world, now, number, hfn, vm)
        read += 1
    if read > 0:
        read_pages(world, later(world, now), read)
        world.counts[vm, now.epoch].swap_in_pages += read
        world.counts[vm, now.epoch].readahead_pages += read


@inner_apart
def discard(world: World, now: Now, unit: Int, told: Int) -> Int:
    """Take back the host page behind guest frames whose contents nobody needs; returns how many host frames that frees.

    ``told``: the guest's tables map it no more, but the host's do, so an EVICT says that they no longer do.
    """
    head = world.frames[unit]
    order, guest = np.int64(head.order), world.vms[head.vm]
    freed: Int = 0
    size = 1 << order
    if head.hfn != NOTHING:
        if told:
            log_evict(world, now, unit, ZERO, order, np.int64(head.vm))
        if head.sharer != NOTHING:
            leave_ring(world, unit)
        else:
            remove(world.policies.replacement, unit)
            free_host_frame(world, np.int64(head.hfn), order)
            freed = size
        guest.resident -= size
    elif head.packed:
        drop(world.policies.compression, world, now, unit)
    elif head.swapped:
        guest.swapped -= size
    forget(world.policies.replacement, unit)
    for part in range(unit, unit + size):
        frame = world.frames[part]
        frame.hfn = NOTHING
        frame.swapped = 0
        frame.dirty = 0
        frame.accessed = 0
    return freed
