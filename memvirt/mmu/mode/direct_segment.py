"""Direct segments: base and limit translate most of memory, in either dimension or both.

Basu et al., ISCA'13; Gandhi et al., MICRO'14. `segments`: ``dual`` (no reference, no TLB), ``vmm`` (the host's dimension: the
guest's 4 references stay), ``guest`` (the guest's dimension: the 4 of the host's stay). The guest's segment covers `share` of
each address space's pages, the host's all of the VM's memory; a share `bad` of either must escape, and so does what an escape
filter of `filter_bits` with `hashes` takes for one. A page that the host takes away (swap, a merge, a balloon, a copy or a large
page split) escapes from the host's segment from then on, for the filter forgets nothing: it fills up until it takes every page of
the VM for one. `segment_escapes` and `segment_false_positives` count both. With both segments the TLB room must know what
bypasses, and it sees pages but no frames: the host's filter is then one of pages, which are frames at an offset, and memory that
no page of the program lies in isn't entered. Left out: growing and moving of segments, pages that the guest maps anew elsewhere,
and that a segment must be contiguous in memory: what it covers lies where the memory room put it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.counters import Counter
from memvirt.jit import inner, inner_apart
from memvirt.mmu.mode import Setup, on_event, walk
from memvirt.mmu.port import (
    DATA_ROW,
    GUEST,
    HOST_ROW,
    ROW,
    Port,
    begin_walk,
    end_walk,
    read_entry,
)
from memvirt.mmu.pwc import Pwc, first_level, keep_entry, make_pwc
from memvirt.mmu.radix import CACHED, walk_host
from memvirt.mmu.two_dimensional import FAULTED, NONE_MISSING, ONCE, SERVED, take_event, walk_to_fault
from memvirt.tlb.segment import Escapes, host_segments, in_guest_segments, no_segments, take_away
from memvirt.types import DROP, EVICT, INVEPTS, NONE, Segment, Traits
from memvirt.typing import Int

COUNTERS = (
    Counter("segment_escapes", "pages", doc="that left the host's direct segment because the host took them away"),
    Counter("segment_false_positives", "pages", doc="that left it because its escape filter takes them for such a page"),
)
OPTIONS = {"segments": ("dual", "vmm", "guest"), "share": 1.0, "bad": 0.0, "filter_bits": 256, "hashes": 4, "seed": 0}
LIMITS = {"filter_bits": (1, 1 << 20), "hashes": (1, 64)}


def segment(options: dict[str, Any]) -> Segment:
    """Make the segment that the options describe."""
    return Segment(*(options[name] for name in ("share", "bad", "filter_bits", "hashes", "seed")))


def traits(options: dict[str, Any]) -> Traits:
    """With both segments a page needs no TLB either."""
    return Traits(host_unmap="vm", bypass=segment(options) if options["segments"] == "dual" else None)


class State(NamedTuple):
    """What the segments translate.

    Attributes
    ----------
    in_guest : (pages,) uint8
        Whether the guest's segment translates a page.
    pages, frames : Escapes
        What the host's does: `frames` all guest frames; where both segments are, `pages` is what holds of the program's.
    by_page : int
        Whether it does.
    to_pass : (1,) int64
        How many of an EVICT's DROPs are still to come.
    """

    pwc: Pwc
    in_guest: NDArray[np.uint8]
    pages: Escapes
    frames: Escapes
    by_page: int
    to_pass: NDArray[np.int64]


def make(setup: Setup) -> State:
    """State at the start."""
    which = setup.option("segments")
    chosen = segment({name: setup.option(name) for name in OPTIONS})
    inside = in_guest_segments(chosen, setup.space) if which != "vmm" else np.zeros(setup.space.vpn.size, np.uint8)
    pages, frames = no_segments(), no_segments()
    if which == "dual":
        pages = host_segments(chosen, setup.space.page_base)
    if which != "guest":
        frames = host_segments(chosen, setup.frames.frame_base)
    return State(make_pwc(setup), inside, pages, frames, int(which == "dual"), np.zeros(1, np.int64))


@inner
def in_host(state: State, frame: Int, page: Int) -> bool:
    """Whether the host's segment translates a guest frame: a page's, or (`NONE`) one of the guest's tables."""
    if state.by_page and page != NONE:
        return bool(state.pages.direct[page] > 0)
    return bool(state.frames.direct.size > 1 and state.frames.direct[frame] > 0)


@inner_apart
def walk_around(state: State, port: Port, page: Int, guest_missing: Int, data_missing: Int, faulted: Int) -> None:
    """Walk in those dimensions that the segments leave."""
    begun = begin_walk(port)
    lowest = np.int64(port.guest_order[page]) // 9
    space, vpn = port.space_of_page[page], port.vpn[page]
    if not state.in_guest[page]:
        top = port.guest_frames.shape[1] - 1
        begin = first_level(state.pwc, port, GUEST, space, vpn, top, lowest)
        port.context[ROW] = HOST_ROW
        for level in range(begin, lowest + guest_missing - 1, -1):
            frame = np.int64(port.guest_frames[port.guest_row[page], level])
            hfn = frame
            if port.dimensions == 2:
                if (level == top or level < begin) and not in_host(state, frame, np.int64(NONE)):
                    walk_host(state.pwc, port, frame, NONE_MISSING, CACHED)
                hfn = np.int64(port.hfn_of_frame[frame])
            read_entry(port, GUEST, hfn, vpn >> (9 * level), level)
            if level > lowest + guest_missing:
                keep_entry(state.pwc, port.context[0], GUEST, space, vpn, level)
    if data_missing >= 0 and port.dimensions == 2:
        port.context[ROW] = DATA_ROW
        frame = np.int64(port.frame_of_page[page])
        if not in_host(state, frame, page):
            walk_host(state.pwc, port, frame, data_missing, CACHED)
    end_walk(port, begun, faulted)


@inner_apart
def let_escape(port: Port, segments: Escapes, vm: Int, page: Int, counted: Int) -> None:
    """Take a page out of the host's segment for good, and with it those that the filter can't tell from what has been taken out."""
    port.counts[0].segment_escapes += counted * segments.direct[page]
    port.counts[0].segment_false_positives += counted * take_away(segments, vm, page)


@walk.register
def _walk(state: State, port: Port, page: Int) -> None:
    walk_around(state, port, page, NONE_MISSING, NONE_MISSING, SERVED)


@walk_to_fault.register
def _walk_to_fault(state: State, port: Port, page: Int, guest_missing: Int, data_missing: Int) -> None:
    walk_around(state, port, page, guest_missing, data_missing, FAULTED)


@on_event.register
def _on_event(state: State, port: Port, event: Any, page: Int) -> None:
    kind, vm = np.int64(event.kind), np.int64(event.vm)
    if INVEPTS >> kind & 1:
        state.to_pass[0] = event.count
        if kind == EVICT and state.frames.direct.size > 1:
            for part in range(1 << np.int64(event.order)):
                let_escape(port, state.frames, vm, np.int64(event.frame) + part, ONCE - state.by_page)
    elif kind == DROP and state.to_pass[0] > 0:
        state.to_pass[0] -= 1
        if state.by_page:
            let_escape(port, state.pages, vm, page, ONCE)
    take_event(state, state.pwc, port, event, page)
