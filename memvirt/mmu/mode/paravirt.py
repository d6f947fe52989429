"""Paravirtual paging: the guest's tables map straight to host frames, and the guest writes them by hypercall.

Xen's direct paging (Barham et al., SOSP'03): the hardware walks the guest's own tables, four references. The hypervisor checks
each update; `batch` updates go in one call where the guest makes many (a fork, an unmap of several tables' worth), and loading an
address space or flushing is a call too. A guest's page fault traps to the hypervisor first, which hands it on
(``shadow_fault_true``); one that the host must serve is its own (``shadow_fault_hidden``). Left out: writable page tables, pinning,
and the segment limits or ring switches that keep the guest out of the hypervisor.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner, inner_apart
from memvirt.mmu.mode import Setup, on_event, walk
from memvirt.mmu.port import GUEST, HYPERCALL, SHADOW_FAULT_HIDDEN, SHADOW_FAULT_TRUE, Port, begin_walk, end_walk, exit_to_host
from memvirt.mmu.pwc import Pwc, make_pwc
from memvirt.mmu.radix import CACHED, walk_tables
from memvirt.mmu.two_dimensional import FAULTED, NONE_MISSING, ONCE, SERVED, forget, is_fault
from memvirt.types import DROP, FLUSH, GUEST_MAP, GUEST_UNMAP, HOST_MAP, MOVE, NONE, PREEMPT, SWAP_IN, SWITCH, TABLE_WRITE, Traits
from memvirt.typing import Int

OPTIONS = {"batch": 32}
TRAITS = Traits(flush_on_switch=True)
FAULT_EXITS = {"shadow_fault_true": (1, 0), "hypercall": (1, 0), "shadow_fault_hidden": (0, 1)}  #: of a guest's, a host's


class State(NamedTuple):
    """The page-walk caches, host frames of the tables on the way, updates a call, updates not yet made known."""

    pwc: Pwc
    path: NDArray[np.uint32]
    batch: int
    pending: NDArray[np.int64]


def make(setup: Setup) -> State:
    """State at the start."""
    path = np.zeros(setup.frames.guest_levels, np.uint32)
    return State(make_pwc(setup, tagged=False), path, max(1, setup.option("batch")), np.zeros(1, np.int64))


@inner_apart
def walk_directly(state: State, port: Port, page: Int, missing: Int, faulted: Int) -> None:
    """Walk the guest's tables where they are in host memory."""
    begun = begin_walk(port)
    lowest = np.int64(port.guest_order[page]) // 9
    for level in range(lowest + missing, state.path.size):
        frame = port.guest_frames[port.guest_row[page], level]
        state.path[level] = port.hfn_of_frame[frame] if port.dimensions == 2 else frame
    walk_tables(state.pwc, port, GUEST, port.space_of_page[page], port.vpn[page], state.path, lowest, missing, CACHED)
    end_walk(port, begun, faulted)


@inner
def update(state: State, port: Port, updates: Int) -> None:
    """Make the hypercalls for some updates of entries."""
    exit_to_host(port, HYPERCALL, (updates + state.batch - 1) // state.batch)


@walk.register
def _walk(state: State, port: Port, page: Int) -> None:
    walk_directly(state, port, page, NONE_MISSING, SERVED)


@on_event.register
def _on_event(state: State, port: Port, event: Any, page: Int) -> None:
    kind = np.int64(event.kind)
    if is_fault(kind):
        if page != NONE:
            walk_directly(state, port, page, np.int64(event.count) if kind == GUEST_MAP else NONE_MISSING, FAULTED)
        exit_to_host(port, SHADOW_FAULT_HIDDEN if kind == HOST_MAP or kind == SWAP_IN else SHADOW_FAULT_TRUE, ONCE)
        if kind == GUEST_MAP:
            update(state, port, ONCE + np.int64(event.count))
    elif kind == TABLE_WRITE and np.int64(event.count) == 0:
        state.pending[0] += 1
    elif kind == TABLE_WRITE or kind == GUEST_UNMAP:
        exit_to_host(port, HYPERCALL, ONCE)
    elif kind == SWITCH or kind == FLUSH:
        update(state, port, state.pending[0])
        state.pending[0] = 0
        exit_to_host(port, HYPERCALL, ONCE)
        forget(state.pwc, port, event, page, kind)
    elif kind == DROP or kind == PREEMPT or kind == MOVE:
        forget(state.pwc, port, event, page, kind)
