"""Linux's multi-gen LRU, of what page tables map: generations, aged by walks of the accessed bits (mm/vmscan.c of 6.18).

A page that a fault brings in belongs to the youngest generation. Eviction takes pages from the tail of the oldest. One found
accessed there goes to the youngest, and so does what is accessed among its neighbours, the 64 page-table entries around it: so
one look through the reverse mapping serves many pages. When too few generations are left, all page tables are walked, what was
accessed since the last walk goes to the youngest generation, and a new one begins. A page's generation changes at once, its place
in the lists when eviction meets it.

Tiers, by which the kernel tells pages apart that are accessed through file descriptors, have nothing to tell apart here: a host's
guests map all of their memory, and every page is of the first tier. The walk sees the guests' accesses in their EPTs, as it does
since 6.14 (`ptep_clear_young_notify`). It skips nothing, where the kernel's Bloom filters spare it tables that were sparse the
last time.

Sources: `lru_gen_folio_seq`, `try_to_inc_max_seq`, `try_to_inc_min_seq`, `should_run_aging`, `sort_folio`, `lru_gen_look_around`;
none of their code. Yu Zhao, Multi-Gen LRU (kernel documentation, mm/multigen_lru).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner_apart, kernel, kernel_apart
from memvirt.memory.lists import Chain, count_groups, group_of, make_chain, oldest, push_front, unlink
from memvirt.memory.replacement import insert, remove, touch, victim, victim_of
from memvirt.typing import Int

KEEPS_ITS_CHOICE = True  #: a page that it named is named again until it goes or is accessed

#: Knobs in /sys/kernel/mm/lru_gen that there are not.
NOT_MODELLED = {
    "min_ttl_ms": "nothing is killed to protect a working set",
    "enabled": "it is all of it, with the walk of page tables: reclaim/replacement=linux for the two lists",
    "swappiness": "a host has no page cache of its own to weigh against",
}
LEAST, MOST = 2, 4  #: generations (MIN_NR_GENS, MAX_NR_GENS)
AROUND = 64  #: page-table entries that are looked at around an accessed one (MIN_LRU_BATCH)
NOWHERE = -1

#: A page.
PAGE = np.dtype(
    [
        ("list", "i1"),  # on which it is, the number of a generation modulo `MOST`, or `NOWHERE`
        ("generation", "i1"),  # to which it belongs, the same
        ("accessed", "i1"),  # its accessed bit
    ],
    align=True,
)

#: The generations of a group.
GENERATIONS = np.dtype([("youngest", "<i8"), ("oldest", "<i8")], align=True)


class State(NamedTuple):
    """One list a generation, pages, and of each group the numbers of its generations."""

    lists: tuple[Chain, Chain, Chain, Chain]
    pages: Any
    generations: Any


def make(size: int, seed: int, groups: NDArray[np.int64] | None = None) -> State:
    """State for items 0 … ``size`` - 1; each group, a control group, has generations of its own."""
    first, second, third, fourth = (make_chain(size, groups) for _ in range(MOST))
    pages = np.zeros(size, PAGE).view(np.recarray)
    pages.list = NOWHERE
    generations = np.zeros(count_groups(first), GENERATIONS).view(np.recarray)
    generations.youngest = LEAST + 1
    return State((first, second, third, fourth), pages, generations)


@kernel
def put(state: State, item: Int, number: Int) -> None:
    """Put a page that is on no list at the head of one."""
    push_front(state.lists[number], item)
    state.pages[item].list = state.pages[item].generation = number


@kernel
def take_off(state: State, item: Int) -> None:
    """Take a page off its list."""
    unlink(state.lists[np.int64(state.pages[item].list)], item)
    state.pages[item].list = NOWHERE


@inner_apart
def promote(state: State, group: Int, first: Int, end: Int) -> None:
    """Have what is accessed among some pages of a group belong to the youngest generation; their accessed bits are clear then."""
    youngest = np.int64(state.generations[group].youngest) % MOST
    for item in range(max(first, np.int64(0)), min(end, np.int64(state.pages.size))):
        page = state.pages[item]
        if page.accessed and page.list != NOWHERE and group_of(state.lists[0], item) == group:
            page.accessed, page.generation = 0, youngest


@inner_apart
def age(state: State, group: Int) -> None:
    """Walk the page tables, then begin a new generation."""
    promote(state, group, np.int64(0), np.int64(state.pages.size))
    state.generations[group].youngest += 1


@kernel_apart
def choose(state: State, group: Int) -> Int:
    """Name the page at the tail of a group's oldest generation that isn't accessed; no page if it has none."""
    generations, empty = state.generations[group], 0
    while empty < 2 * MOST:
        number = np.int64(generations.oldest) % MOST
        if generations.oldest + LEAST > generations.youngest:
            age(state, group)
            continue
        item = oldest(state.lists[number], group)
        if item >= state.pages.size:
            generations.oldest += 1
            empty += 1
            continue
        page, empty = state.pages[item], 0
        if page.accessed:
            promote(state, group, item - AROUND // 2, item + AROUND // 2)
        if page.generation == number:
            return item
        belongs = np.int64(page.generation)
        take_off(state, item)
        put(state, item, belongs)
    return np.int64(state.pages.size)


@insert.register
def _insert(state: State, item: Int) -> None:
    state.pages[item].accessed = 0
    put(state, item, np.int64(state.generations[group_of(state.lists[0], item)].youngest) % MOST)


@touch.register
def _touch(state: State, item: Int) -> None:
    state.pages[item].accessed = 1


@victim.register
def _victim(state: State) -> Int:
    return choose(state, np.int64(0))


@victim_of.register
def _victim_of(state: State, group: Int) -> Int:
    item = choose(state, group)
    return item if item < state.pages.size else -1


@remove.register
def _remove(state: State, item: Int) -> None:
    take_off(state, item)
