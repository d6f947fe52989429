"""Direct segments: base and limit translate most of memory, in either dimension or both.

Basu et al., ISCA'13; Gandhi et al., MICRO'14. `segments`: ``dual`` (no reference, no TLB), ``vmm`` (the host's dimension: the
guest's 4 references stay), ``guest`` (the guest's dimension: the 4 of the host's stay). The guest's segment covers `share` of
each address space's pages, the host's all of the VM's frames; a share `bad` of either must escape, and so does what an escape
filter of `filter_bits` with `hashes` takes for one. A page that the host takes away escapes from then on. Left out: growing and
moving of segments, and that a segment must be contiguous in memory: what it covers lies where the memory room put it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner, inner_apart
from memvirt.mmu.mode import Setup, on_event, walk
from memvirt.mmu.port import DATA_ROW, EPT_VIOLATION, GUEST, HOST_ROW, ROW, Port, begin_walk, end_walk, exit_to_host, read_entry
from memvirt.mmu.pwc import Pwc, first_level, keep_entry, make_pwc
from memvirt.mmu.radix import CACHED, walk_host
from memvirt.mmu.two_dimensional import (
    EVICT,
    FAULTED,
    HOST_MAP,
    NONE_MISSING,
    ONCE,
    SERVED,
    SWAP_IN,
    fault_length,
    forget,
    is_fault,
)
from memvirt.tlb.segment import bypassed, escapes
from memvirt.types import NONE, Segment, Traits

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
    page_direct : (pages,) uint8
    frame_direct : (frames,) uint8
    """

    pwc: Pwc
    page_direct: NDArray[np.uint8]
    frame_direct: NDArray[np.uint8]


def make(setup: Setup) -> State:
    """State at the start."""
    which = setup.option("segments")
    chosen = segment({name: setup.option(name) for name in OPTIONS})
    pages = bypassed(chosen, setup.space) if which != "vmm" else np.zeros(setup.space.vpn.size, np.uint8)
    frames = np.zeros(setup.port.hfn_of_frame.size, np.uint8)
    if which != "guest":
        frames[:] = ~escapes(chosen, np.arange(frames.size, dtype=np.uint64))
    return State(make_pwc(setup), pages, frames)


@inner
def through_host(state: State, port: Port, frame: int, missing: int) -> None:
    """Translate a guest frame, by segment if it lies in it."""
    if not state.frame_direct[frame]:
        walk_host(state.pwc, port, frame, missing, CACHED)


@inner_apart
def walk_around(state: State, port: Port, page: int, guest_missing: int, data_missing: int, faulted: int) -> None:
    """Walk in those dimensions that the segments leave."""
    begun = begin_walk(port)
    lowest = np.int64(port.guest_order[page]) // 9
    space, vpn = port.space_of_page[page], port.vpn[page]
    if not state.page_direct[page]:
        top = port.guest_frames.shape[1] - 1
        begin = first_level(state.pwc, port, GUEST, space, vpn, top, lowest)
        port.now[ROW] = HOST_ROW
        for level in range(begin, lowest + guest_missing - 1, -1):
            frame = np.int64(port.guest_frames[port.guest_row[page], level])
            hfn = frame
            if port.dimensions == 2:
                if level == top or level < begin:
                    through_host(state, port, frame, NONE_MISSING)
                hfn = np.int64(port.hfn_of_frame[frame])
            read_entry(port, GUEST, hfn, vpn >> (9 * level), level)
            if level > lowest + guest_missing:
                keep_entry(state.pwc, port.now[0], GUEST, space, vpn, level)
    if data_missing >= 0 and port.dimensions == 2:
        port.now[ROW] = DATA_ROW
        through_host(state, port, np.int64(port.frame_of_page[page]), data_missing)
    end_walk(port, begun, faulted)


@walk.register
def _walk(state: State, port: Port, page: int) -> None:
    walk_around(state, port, page, NONE_MISSING, NONE_MISSING, SERVED)


@on_event.register
def _on_event(state: State, port: Port, event: Any, page: int) -> None:
    kind = np.int64(event.kind)
    if is_fault(kind):
        if page != NONE:
            guest_missing, data_missing = fault_length(event, kind)
            walk_around(state, port, page, guest_missing, data_missing, FAULTED)
        if kind == HOST_MAP or kind == SWAP_IN:
            exit_to_host(port, EPT_VIOLATION, ONCE)
    else:
        if kind == EVICT:
            for part in range(1 << np.int64(event.order)):
                state.frame_direct[np.int64(event.frame) + part] = 0
        forget(state.pwc, port, event, page, kind)
