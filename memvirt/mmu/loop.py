"""The one walk loop: events, walks and data accesses in the merged order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner, inner_apart, kernel
from memvirt.mmu.caches import l2_row, llc_row, read_line, set_of
from memvirt.mmu.mode import on_event, walk
from memvirt.mmu.port import (
    AD_UPDATES_GUEST,
    AD_UPDATES_HOST,
    AT,
    CPU,
    DATA_IN_L1D,
    DATA_REMOTE,
    EPOCH,
    NODE,
    VM,
    WALK_FAULTS,
    WRITE_PROTECT,
    WRITES,
    Port,
    enter,
    exit_to_host,
)
from memvirt.mmu.traffic import DATA, note_reference
from memvirt.prefetch import prefetch
from memvirt.types import BACKINGS, EVICT, FETCH, GUEST_MAP, HOST_MAP, NONE, SWAP_IN, TABLE_MOVE, TABLE_WRITE
from memvirt.typing import Int

DIRTY, CLEAN, UNTOUCHED = np.uint8(0), np.uint8(1), np.uint8(2)
ONCE = np.int64(1)
AHEAD = 6  #: walks, of which the slowest takes longer than memory


@inner_apart
def map_pages(port: Port, event: Any) -> None:
    """Carry out a GUEST_MAP: the page, and all that share the guest's larger page, get their frames."""
    page = np.int64(event.page)
    order = port.guest_order[page]
    region, space = port.vpn[page] >> order, port.space_of_page[page]
    first = page
    while first > 0 and port.space_of_page[first - 1] == space and port.vpn[first - 1] >> order == region:
        first -= 1
    other = first
    while other < port.vpn.size and port.space_of_page[other] == space and port.vpn[other] >> order == region:
        away = port.vpn[other] - port.vpn[page]
        frame = np.int64(event.frame) + away
        port.frame_of_page[other] = frame
        port.page_of_frame[frame] = other
        if port.dimensions == 1:
            port.hfn_of_frame[frame] = np.int64(event.hfn) + away
            port.order_of_frame[frame] = event.order
        port.hfn_of_page[other] = port.hfn_of_frame[frame]
        other += 1


@inner_apart
def back_frames(port: Port, event: Any) -> None:
    """Put host frames behind guest frames, as an event says (`BACKINGS`)."""
    for part in range(1 << np.int64(event.order)):
        frame = np.int64(event.frame) + part
        port.hfn_of_frame[frame] = np.int64(event.hfn) + part
        page = port.page_of_frame[frame]
        if page != NONE and port.frame_of_page[page] == frame:
            port.hfn_of_page[page] = port.hfn_of_frame[frame]


@inner
def note_clean(port: Port, event: Any, kind: Int, page: Int) -> None:
    """Keep accessed and dirty bits in step with an event."""
    if kind == GUEST_MAP or kind == TABLE_WRITE or (port.dimensions == 1 and kind == SWAP_IN and page != NONE):
        port.clean[port.first_page[page]] = UNTOUCHED
    if kind == SWAP_IN:
        port.host_clean[event.frame] = UNTOUCHED
    elif kind == HOST_MAP:
        port.host_clean[event.frame] = DIRTY


@inner_apart
def happen(state: Any, port: Port, event: Any) -> None:
    """Let the mode take notice of an event, and carry it out."""
    kind, page = np.int64(event.kind), np.int64(event.page)
    if BACKINGS >> kind & 1:  # its size decides how far the faulting walk gets
        for part in range(1 << np.int64(event.order)):
            port.order_of_frame[np.int64(event.frame) + part] = event.order
    port.context[AT] = event.at
    on_event(state, port, event, page)
    if port.ad[0]:
        note_clean(port, event, kind, page)
    if kind == GUEST_MAP:
        map_pages(port, event)
    elif BACKINGS >> kind & 1:
        back_frames(port, event)
    elif kind == TABLE_MOVE:
        for part in range(1 << np.int64(event.order)):
            port.node_of_hfn[np.int64(event.hfn) + part] = event.count
    elif kind == EVICT:
        for part in range(1 << np.int64(event.order)):
            port.hfn_of_frame[np.int64(event.frame) + part] = NONE


@inner
def is_protected(port: Port, entry: Int, unit: Int) -> bool:
    """Whether a first write runs into the protection by which a hypervisor learns of it."""
    guest = port.ad[1] and port.clean[entry] == CLEAN
    return bool(guest or (port.ad[2] and port.host_clean[unit] == CLEAN))


@inner
def note_access(port: Port, write: Int, entry: Int, unit: Int) -> None:
    """Set accessed and dirty bits after a walk."""
    was, host_was = port.clean[entry], port.host_clean[unit]
    if write:
        port.clean[entry] = port.host_clean[unit] = DIRTY
        port.tally[AD_UPDATES_GUEST] += not port.ad[1] and was != DIRTY
        port.tally[AD_UPDATES_HOST] += not port.ad[2] and host_was != DIRTY
    else:
        port.clean[entry], port.host_clean[unit] = min(was, CLEAN), min(host_was, CLEAN)
        port.tally[AD_UPDATES_GUEST] += not port.ad[1] and was == UNTOUCHED


@inner
def walk_access(state: Any, port: Port, page: Int, write: Int) -> None:
    """Walk for an access, with what becomes of accessed and dirty bits."""
    port.context[WRITES] = write
    protected: Int = False
    entry, unit = np.int64(0), np.int64(0)
    if port.ad[0]:
        entry = np.int64(port.first_page[page])
        if port.host_clean.size > 1:
            frame = np.int64(port.frame_of_page[page])
            order = np.int64(port.order_of_frame[frame])
            unit = frame >> order << order
        protected = write and is_protected(port, entry, unit)
    for attempt in range(2):  # one call of `walk`, which is long
        if attempt == 0 and not protected:
            continue
        port.walk[WALK_FAULTS] = attempt == 0
        walk(state, port, page)
        port.walk[WALK_FAULTS] = 0
        if attempt == 0:
            exit_to_host(port, WRITE_PROTECT, ONCE)
    if port.ad[0]:
        note_access(port, write, entry, unit)


@inner_apart
def access_data(port: Port, pages: NDArray[np.uint32], lines: NDArray[np.uint8], begin: Int, end: Int) -> None:
    """Read and write data through the caches; apart from the walks, whose code would crowd its registers."""
    caches, tally, context = port.caches, port.tally, port.context
    hfn_of_page, node_of_hfn, traffic = port.hfn_of_page, port.node_of_hfn, port.traffic
    cpu, node = context[CPU], context[NODE]
    tags, sets = caches.l1d, caches.sets[0]
    base = cpu * sets
    hits = 0
    for offset in range(begin, end):
        word = lines[np.uint64(offset)]  # unsigned, as in `memvirt.tlb.hierarchy`
        if word & FETCH:  # no instruction cache is simulated
            continue
        line = (np.int64(hfn_of_page[pages[np.uint64(offset)]]) << 6) | np.int64(word & 63)
        if tags[np.uint64(base + set_of(sets, line)), 0] == line:
            hits += 1
            continue
        where = read_line(caches, cpu, line)
        tally[DATA_IN_L1D + where] += 1
        if where == 3:
            home = np.int64(node_of_hfn[line >> 6])
            if home != node:
                tally[DATA_REMOTE] += 1
            if traffic.size > 0:
                note_reference(traffic, context[VM], context[EPOCH], DATA, node, home)
    tally[DATA_IN_L1D] += hits


@inner
def look_ahead(port: Port, pages: NDArray[np.uint32], lines: NDArray[np.uint8], walks: NDArray[np.uint32], number: Int) -> None:
    """Ask for what later walks will read: of one twice as far off where its page is, of the nearer one its line in the caches."""
    if number + 2 * AHEAD >= walks.size:
        return
    page = np.int64(pages[walks[np.uint64(number + 2 * AHEAD)]])
    prefetch(port.vpn, page)
    prefetch(port.space_of_page, page)
    prefetch(port.guest_row, page)
    prefetch(port.frame_of_page, page)
    prefetch(port.hfn_of_page, page)
    if port.kind == 2:
        caches, later = port.caches, np.uint64(walks[np.uint64(number + AHEAD)])
        line = (np.int64(port.hfn_of_page[pages[later]]) << 6) | np.int64(lines[later] & 63)
        prefetch(caches.l2, l2_row(caches, port.context[CPU], line) * caches.l2.shape[1])
        prefetch(caches.llc, llc_row(caches, port.context[CPU], line) * caches.llc.shape[1])


@kernel
def walk_stretch(
    state: Any,
    port: Port,
    counts: NDArray[np.int64],
    node_of_cpu: NDArray[np.uint8],
    pages: NDArray[np.uint32],
    lines: NDArray[np.uint8],
    runs: Any,
    events: Any,
    walks: NDArray[np.uint32],
    next_event: Int,
    first: Int,
) -> Int:
    """Simulate one stretch of the merged order; returns the first event that lies beyond it.

    Parameters
    ----------
    counts : (vms, epochs, `TALLY`) int64
    pages, lines : (n,)
    runs : (r,) RUN, ``at`` relative to the stretch
    events : (e,) EVENT
    walks : (w,) uint32
        Offsets of the accesses that missed the TLBs.
    next_event, first : int
        First event not carried out; place of the stretch in the merged order.
    """
    number = 0
    for run in runs:
        enter(port, run, np.int64(node_of_cpu[run.cpu]))
        at, end = np.int64(run.at), np.int64(run.at) + np.int64(run.length)
        while at < end:
            while next_event < events.size and np.int64(events[next_event].at) <= first + at:
                happen(state, port, events[next_event])
                next_event += 1
            stop = end
            if next_event < events.size:
                stop = min(end, np.int64(events[next_event].at) - first)
            while at < stop:
                missed = np.int64(walks[number]) if number < walks.size else end
                if port.kind == 2 and at < missed:
                    access_data(port, pages, lines, at, min(missed, stop))
                at = min(missed, stop)
                if at < stop:
                    look_ahead(port, pages, lines, walks, number)
                    port.context[AT] = first + at
                    walk_access(state, port, np.int64(pages[at]), np.int64(lines[at] >> 7))
                    number += 1
                    if port.kind == 2:
                        access_data(port, pages, lines, at, at + 1)
                    at += 1
        for name in range(port.tally.size):
            counts[run.vm, run.epoch, name] += port.tally[name]
            port.tally[name] = 0
    return next_event
