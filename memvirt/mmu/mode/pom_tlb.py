"""A part-of-memory L3 TLB: `size` bytes of memory stacked on the die hold translations, looked up before a nested walk.

Ryoo, Gulur, Song and John, ISCA'17. An entry takes 16 bytes, a set is one line of 64. Lines are cached in the L2 and the LLC, where
they are looked up first, and not in the L1D; what misses both comes from stacked memory, which has a price of its own
(`cpu.memory_stacked`). 4K and larger pages stand in halves of their own. Which one is looked up first is what a table of
`predictor` bits, indexed by the page number's lowest bits, says: the size of the page that last used the bit (512 of them;
recalled). An entry in the other half costs a second line, and so does one that is in neither, before the walk. Left out: the bypass
predictor, and the lookup before a walk that faults. An EVICT makes all of the VM's entries stale, by a generation number.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.counters import Counter
from memvirt.errors import ConfigError
from memvirt.jit import inner
from memvirt.mmu.caches import move_first, reuse
from memvirt.mmu.mode import Setup, on_event, walk
from memvirt.mmu.port import CPU, VM, Port, begin_walk, end_walk, read_stacked
from memvirt.mmu.pwc import Pwc, make_pwc
from memvirt.mmu.radix import walk_both
from memvirt.mmu.two_dimensional import NONE_MISSING, SERVED, take_event
from memvirt.types import DROP, INVEPTS, Traits
from memvirt.typing import Int

COUNTERS = (Counter("pom_tlb_hits", "hits", doc="of the TLB in memory"),)
OPTIONS = {"size": 16 << 20, "predictor": 512}
LIMITS = {"size": (4096, 1 << 36), "predictor": (1, 1 << 20)}
TRAITS = Traits(host_unmap="vm")
WAYS, LINE_BYTES, PAGE_BYTES = 4, 64, 4096
SMALL, LARGE = np.int64(0), np.int64(9)
VPN_BITS = 45  #: of a page number that five levels translate


class State(NamedTuple):
    """The TLB in memory, and the walk caches for what misses it.

    Attributes
    ----------
    tags : (sets, 4) int64
        Generation of the VM, space, page number and size packed; most recent first, -1 for none.
    generation : (vms,) int64
    predictor : (cpus, bits) uint8
        1 for a large page.
    base : int
        First frame of stacked memory.
    """

    pwc: Pwc
    tags: NDArray[np.int64]
    generation: NDArray[np.int64]
    predictor: NDArray[np.uint8]
    base: int


def frames(setup: Setup) -> int:
    """Frames that it takes."""
    return max(1, int(setup.option("size")) // PAGE_BYTES)


def make(setup: Setup) -> State:
    """State at the start.

    Raises
    ------
    ConfigError
        If the size predictor has no bit.
    """
    bits = int(setup.option("predictor"))
    if bits < 1:
        raise ConfigError("mmu.predictor", bits, "the size predictor needs at least one bit", [])
    tags = np.full((frames(setup) * PAGE_BYTES // LINE_BYTES, WAYS), -1, np.int64)
    predictor = np.zeros((setup.schedule.cpus, bits), np.uint8)
    return State(make_pwc(setup), tags, np.zeros(setup.schedule.vms, np.int64), predictor, int(setup.port.spare))


@inner
def set_of(state: State, space: Int, vpn: Int, order: Int) -> Int:
    """Set in which a page of a size would have its entry."""
    half = state.tags.shape[0] // 2
    return ((vpn >> order) ^ space * 7919) % half + (half if order else 0)  # type: ignore[no-any-return]


@inner
def size_of(port: Port, page: Int) -> Int:
    """What a page's entry spans: the smaller of guest's and host's page, as an order."""
    if port.dimensions == 1:
        return np.int64(port.guest_order[page])
    return np.int64(min(port.guest_order[page], port.order_of_frame[port.frame_of_page[page]]))


@inner
def tag_of(state: State, port: Port, page: Int, vm: Int, order: Int) -> Int:
    """Tag of a page's entry."""
    number, space = port.vpn[page] >> order, port.space_of_page[page]
    return ((state.generation[vm] * 4099 + space) * 3 + order // 9) << VPN_BITS ^ number  # type: ignore[no-any-return]


@inner
def read_set(state: State, port: Port, row: Int) -> None:
    """Read a set's line."""
    read_stacked(port, state.base + (row >> 6), row & 63)


@walk.register
def _walk(state: State, port: Port, page: Int) -> None:
    begun = begin_walk(port)
    order, space, vpn = size_of(port, page), port.space_of_page[page], port.vpn[page]
    row = set_of(state, space, vpn, order)
    bit = vpn % state.predictor.shape[1]
    predicted = np.int64(state.predictor[port.context[CPU], bit])
    hit = reuse(state.tags, row, WAYS, tag_of(state, port, page, port.context[VM], order))
    right = (predicted > 0) == (order > 0)
    if not right or not hit:  # the other half's line: first where the prediction was wrong, in vain where the entry is in neither
        read_set(state, port, set_of(state, space, vpn, SMALL if order else LARGE))
    read_set(state, port, row)
    state.predictor[port.context[CPU], bit] = order > 0
    if hit:
        port.counts[0].pom_tlb_hits += 1
    else:
        walk_both(state.pwc, port, page, NONE_MISSING, NONE_MISSING)
        move_first(state.tags, row, WAYS - 1, tag_of(state, port, page, port.context[VM], order))
    end_walk(port, begun, SERVED)


@on_event.register
def _on_event(state: State, port: Port, event: Any, page: Int) -> None:
    kind = np.int64(event.kind)
    if INVEPTS >> kind & 1:
        state.generation[event.vm] += 1
    elif kind == DROP:
        order = size_of(port, page)
        row, tag = (
            set_of(state, port.space_of_page[page], port.vpn[page], order),
            tag_of(state, port, page, np.int64(event.vm), order),
        )
        for way in range(WAYS):
            if state.tags[row, way] == tag:
                state.tags[row, way] = -1
    take_event(state, state.pwc, port, event, page)
