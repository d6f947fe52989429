"""A part-of-memory L3 TLB: `size` bytes of host memory hold translations, looked up before a nested walk.

Ryoo, Gulur, Song and John, ISCA'17: an entry takes 16 bytes, a set is one 64-byte line of four, and the caches hold lines of it
like any other; a hit costs one reference. 4K and larger pages stand in halves of their own, and the right one is looked up first,
as if the paper's size predictor never erred. Left out: its bypass predictor. An EVICT makes all of the VM's entries stale, by a
generation number.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner
from memvirt.mmu.caches import insert_first, reuse
from memvirt.mmu.mode import Setup, on_event, walk
from memvirt.mmu.port import GUEST, POM_TLB_HITS, Port, begin_walk, count_hit, end_walk, read_entry
from memvirt.mmu.pwc import Pwc, make_pwc
from memvirt.mmu.radix import walk_both
from memvirt.mmu.two_dimensional import DROP, EVICT, NONE_MISSING, SERVED, take_event
from memvirt.types import Traits

OPTIONS = {"size": 16 << 20}
LIMITS = {"size": (4096, 1 << 36)}
TRAITS = Traits(host_unmap="vm")
WAYS, LINE_BYTES, PAGE_BYTES = 4, 64, 4096


class State(NamedTuple):
    """The TLB in memory, and the walk caches for what misses it.

    Attributes
    ----------
    tags : (sets, 4) int64
        Generation of the VM, space, page number and size packed; most recent first, -1 for none.
    generation : (vms,) int64
    base : int
        First host frame.
    """

    pwc: Pwc
    tags: NDArray[np.int64]
    generation: NDArray[np.int64]
    base: int


def frames(setup: Setup) -> int:
    """Host frames that it takes."""
    return max(1, int(setup.option("size")) // PAGE_BYTES)


def make(setup: Setup) -> State:
    """State at the start."""
    sets = frames(setup) * PAGE_BYTES // LINE_BYTES
    return State(
        make_pwc(setup), np.full((sets, WAYS), -1, np.int64), np.zeros(setup.schedule.vms, np.int64), int(setup.port.spare)
    )


@inner
def place_of_page(state: State, port: Port, page: int, vm: int) -> Any:
    """Set and tag of a page's entry: the smaller of guest's and host's page is what it spans."""
    order = np.int64(min(port.guest_order[page], port.order_of_frame[port.frame_of_page[page]]))
    if port.dimensions == 1:
        order = np.int64(port.guest_order[page])
    number, space = port.vpn[page] >> order, port.space_of_page[page]
    half = state.tags.shape[0] // 2
    row = (number ^ space * 7919) % half + (half if order else 0)
    tag = ((state.generation[vm] * 4099 + space) * 3 + order // 9) << 36 ^ number
    return row, tag


@walk.register
def _walk(state: State, port: Port, page: int) -> None:
    begun = begin_walk(port)
    row, tag = place_of_page(state, port, page, port.now[2])
    read_entry(port, GUEST, state.base + (row >> 6), (row & 63) << 3, np.int64(0))
    if reuse(state.tags, row, WAYS, tag):
        count_hit(port, POM_TLB_HITS)
    else:
        walk_both(state.pwc, port, page, NONE_MISSING, NONE_MISSING)
        insert_first(state.tags, row, WAYS, tag)
    end_walk(port, begun, SERVED)


@on_event.register
def _on_event(state: State, port: Port, event: Any, page: int) -> None:
    kind = np.int64(event.kind)
    if kind == EVICT:
        state.generation[event.vm] += 1
    elif kind == DROP:
        row, tag = place_of_page(state, port, page, np.int64(event.vm))
        for way in range(WAYS):
            if state.tags[row, way] == tag:
                state.tags[row, way] = -1
    take_event(state.pwc, port, event, page)
