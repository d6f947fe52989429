"""Direct memory translation: the lowest entries of a mapping stand in one array, whose place is in a register.

DMT (ASPLOS'24): one reference natively, three under virtualization (where the guest's entry is, the entry, where the data is),
two with `paravirtual` (the hypervisor hands the guest contiguous host memory for its arrays). The largest
`registers` mappings of each address space are served so, a mapping being a range of pages with no hole of more than `hole`
pages (traces carry no VMAs); others take a nested walk. The host maps all of a VM's memory as one range. An entry stands where
the radix table's lowest entry would. Left out: splitting and migrating of arrays as mappings grow.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner_apart
from memvirt.mmu.mode import Setup, on_event, walk
from memvirt.mmu.port import EPT_VIOLATION, Port, begin_walk, end_walk, exit_to_host
from memvirt.mmu.pwc import LOWEST_ONLY, Pwc, make_pwc
from memvirt.mmu.radix import walk_on
from memvirt.mmu.two_dimensional import (
    FAULTED,
    HOST_MAP,
    NONE_MISSING,
    SERVED,
    SWAP_IN,
    fault_length,
    forget,
    is_fault,
    serve_walk,
    take_event,
)
from memvirt.types import NONE, Traits

OPTIONS = {"paravirtual": False, "registers": 16, "hole": 512}
TRAITS = Traits(host_unmap="vm")
ONCE = np.int64(1)


class State(NamedTuple):
    """Walk caches for what no register covers.

    Attributes
    ----------
    direct : Pwc
        What a direct walk reads: lowest entries only.
    covered : (pages,) uint8
    paravirtual : int
    """

    pwc: Pwc
    direct: Pwc
    covered: NDArray[np.uint8]
    paravirtual: int


def largest_mappings(setup: Setup, registers: int, hole: int) -> NDArray[np.uint8]:
    """Which pages lie in one of the largest mappings of their address space."""
    vpn, space = setup.port.vpn, setup.port.space_of_page
    new = np.ones(vpn.size, bool)
    new[1:] = (space[1:] != space[:-1]) | (vpn[1:] - vpn[:-1] > 1 + hole)
    mapping = np.cumsum(new) - 1
    size, owner = np.bincount(mapping), space[new]
    order = np.lexsort((-size, owner))
    rank = np.empty(order.size, np.int64)
    first = np.searchsorted(owner[order], owner[order])
    rank[order] = np.arange(order.size) - first
    return np.asarray((rank < registers)[mapping], np.uint8)


def make(setup: Setup) -> State:
    """State at the start."""
    covered = largest_mappings(setup, setup.option("registers"), setup.option("hole"))
    direct = make_pwc(setup, guest=LOWEST_ONLY, host=LOWEST_ONLY)
    return State(make_pwc(setup), direct, covered, int(setup.option("paravirtual")))


@inner_apart
def walk_direct(state: State, port: Port, page: int, guest_missing: int, data_missing: int, faulted: int) -> None:
    """Read the lowest entries alone."""
    begun = begin_walk(port)
    lowest = np.int64(port.guest_order[page]) // 9
    walk_on(state.direct, port, page, lowest, state.paravirtual, guest_missing, data_missing)
    end_walk(port, begun, faulted)


@walk.register
def _walk(state: State, port: Port, page: int) -> None:
    if state.covered[page]:
        walk_direct(state, port, page, NONE_MISSING, NONE_MISSING, SERVED)
    else:
        serve_walk(state.pwc, port, page)


@on_event.register
def _on_event(state: State, port: Port, event: Any, page: int) -> None:
    kind = np.int64(event.kind)
    if is_fault(kind) and page != NONE and state.covered[page]:
        guest_missing, data_missing = fault_length(event, kind)
        walk_direct(state, port, page, guest_missing, data_missing, FAULTED)
        if kind == HOST_MAP or kind == SWAP_IN:
            exit_to_host(port, EPT_VIOLATION, ONCE)
    elif is_fault(kind):
        take_event(state.pwc, port, event, page)
    else:
        forget(state.pwc, port, event, page, kind)
        forget(state.direct, port, event, page, kind)
