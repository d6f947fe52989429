"""Direct memory translation: the lowest entries of a mapping stand in one array, whose place is in a register.

DMT (ASPLOS'24): one reference natively, three under virtualization (where the guest's entry is, the entry, where the data is),
two with `paravirtual` (the hypervisor hands the guest contiguous host memory for its arrays). The largest `registers` mappings of
each address space are served so, others take a nested walk. Traces carry no VMAs: pages that the program touches are of one
where no more than `hole` pages between them aren't, by default less than 2 MiB. Neighbouring VMAs share a mapping if no more than a
share `merge` of it lies in none (the paper's option; recalled: 2 %). An array begins with one frame, for 512 pages of the mapping,
and doubles as the mapping's pages demand; a share `fragmentation` of growths finds no contiguous memory, and the pages beyond are
walked for. The host maps all of a VM's memory as one range from the start, so its arrays don't grow. An entry stands where the
radix table's lowest entry would. Left out: arrays in several pieces, what moving one to larger memory takes, and growing one later.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner_apart
from memvirt.memory.layout import chance
from memvirt.mmu.mode import Setup, on_event, walk
from memvirt.mmu.port import EPT_VIOLATION, Port, begin_walk, end_walk, exit_to_host
from memvirt.mmu.pwc import LOWEST_ONLY, Pwc, make_pwc
from memvirt.mmu.radix import walk_on
from memvirt.mmu.two_dimensional import FAULTED, NONE_MISSING, SERVED, fault_length, forget, is_fault, serve_walk, take_event
from memvirt.types import HOST_MAP, NONE, SWAP_IN, Traits
from memvirt.typing import Int

OPTIONS = {"paravirtual": False, "registers": 16, "hole": 511, "merge": 0.0, "fragmentation": 0.0, "seed": 0}
TRAITS = Traits(host_unmap="vm")
ONCE = np.int64(1)
FIRST = 9  #: log2 of the pages that a mapping's first frame of entries is for


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


def merged(first: NDArray[np.int64], last: NDArray[np.int64], space: NDArray[np.int64], merge: float) -> NDArray[np.int64]:
    """Number the mappings that neighbouring VMAs share, in order, as long as what lies in none is a small enough share of it.

    Parameters
    ----------
    first, last, space : (n,) int64
        First and last page of each VMA, ascending, and its address space.
    merge : float

    Returns
    -------
    (n,) int64
    """
    if merge == 0:
        return np.arange(first.size)
    number = np.zeros(first.size, np.int64)
    begin, between = 0, 0
    for vma in range(1, first.size):
        gap = first[vma] - last[vma - 1] - 1
        if space[vma] == space[begin] and between + gap <= merge * (last[vma] - first[begin] + 1):
            number[vma], between = number[vma - 1], between + gap
        else:
            number[vma], begin, between = number[vma - 1] + 1, vma, 0
    return number


def reach(first: NDArray[np.int64], last: NDArray[np.int64], space: NDArray[np.int64], fragmentation: float, seed: int) -> Any:
    """Pages that each mapping's array is for: it doubles until they are all of them or no contiguous memory is found.

    Parameters
    ----------
    first, last, space : (n,) int64
        As in `merged`, of mappings.
    fragmentation : float
        Share of growths that fail.
    seed : int

    Returns
    -------
    (n,) int64
    """
    pages = np.full(first.size, 1 << FIRST, np.int64)
    grows = np.ones(first.size, bool)
    growth = np.zeros(first.size, np.int64)
    while (grows := grows & (pages < last - first + 1)).any():
        growth += 1
        grows &= chance(seed, space, first, growth) >= fragmentation
        pages[grows] *= 2
    return pages


def covered_pages(setup: Setup) -> NDArray[np.uint8]:
    """Which pages a register's array has an entry of: those of the largest mappings of each space, as far as it reaches."""
    vpn, space = setup.port.vpn, setup.port.space_of_page
    new = np.ones(vpn.size, bool)
    new[1:] = (space[1:] != space[:-1]) | (vpn[1:] - vpn[:-1] > 1 + setup.option("hole"))
    start = np.flatnonzero(new)
    first, last, owner = vpn[start], vpn[np.append(start[1:], vpn.size) - 1], space[start]
    mapping = merged(first, last, owner, setup.option("merge"))
    new = np.append(True, mapping[1:] != mapping[:-1])
    last = last[np.append(np.flatnonzero(new)[1:], mapping.size) - 1]
    first, owner = first[new], owner[new]
    order = np.lexsort((first - last, owner))
    rank = np.empty(order.size, np.int64)
    rank[order] = np.arange(order.size) - np.searchsorted(owner[order], owner[order])
    end = first + reach(first, last, owner, setup.option("fragmentation"), setup.option("seed"))
    end[rank >= setup.option("registers")] = 0
    of_page = np.repeat(mapping, np.diff(np.append(start, vpn.size)))
    return np.asarray(vpn < end[of_page], np.uint8)


def make(setup: Setup) -> State:
    """State at the start."""
    direct = make_pwc(setup, guest=LOWEST_ONLY, host=LOWEST_ONLY)
    return State(make_pwc(setup), direct, covered_pages(setup), int(setup.option("paravirtual")))


@inner_apart
def walk_direct(state: State, port: Port, page: Int, guest_missing: Int, data_missing: Int, faulted: Int) -> None:
    """Read the lowest entries alone."""
    begun = begin_walk(port)
    lowest = np.int64(port.guest_order[page]) // 9
    walk_on(state.direct, port, page, lowest, state.paravirtual, guest_missing, data_missing)
    end_walk(port, begun, faulted)


@walk.register
def _walk(state: State, port: Port, page: Int) -> None:
    if state.covered[page]:
        walk_direct(state, port, page, NONE_MISSING, NONE_MISSING, SERVED)
    else:
        serve_walk(state.pwc, port, page)


@on_event.register
def _on_event(state: State, port: Port, event: Any, page: Int) -> None:
    kind = np.int64(event.kind)
    if is_fault(kind) and page != NONE and state.covered[page]:
        guest_missing, data_missing = fault_length(event, kind)
        walk_direct(state, port, page, guest_missing, data_missing, FAULTED)
        if kind == HOST_MAP or kind == SWAP_IN:
            exit_to_host(port, EPT_VIOLATION, ONCE)
    elif is_fault(kind):
        take_event(state, state.pwc, port, event, page)
    else:
        forget(state.pwc, port, event, page, kind)
        forget(state.direct, port, event, page, kind)
