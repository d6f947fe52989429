"""Small LRU caches whose sets keep their tags in order of recency (`memvirt.recency`): the data caches and the page-walk caches.

A hit in the first way, which most are, moves nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.by_address import by_address
from memvirt.jit import inner
from memvirt.mmu.config import Cache
from memvirt.recency import LANES, bring_first
from memvirt.types import Nodes
from memvirt.typing import Int


@by_address
class Caches(NamedTuple):
    """The hierarchy: a row a set, most recent line first; the sets of each CPU (L1D, L2) or each LLC together.

    Attributes
    ----------
    l1d, l2, llc : (instances * sets, ways) uint32 or uint64
        Host-physical line numbers.
    sets : (3,) int64
    llc_of_cpu : (cpus,) int64
        First row of the LLC that each CPU shares.
    """

    l1d: NDArray[Any]
    l2: NDArray[Any]
    llc: NDArray[Any]
    sets: NDArray[np.int64]
    llc_of_cpu: NDArray[np.int64]


def share_llc(nodes: Nodes, cpus: int | None) -> NDArray[np.int64]:
    """Number of the LLC of each CPU, where so many neighbours of a node share one (None: all of a node).

    Returns
    -------
    (cpus,) int64
    """
    place = nodes.place_of_cpu.astype(np.int64) // cpus if cpus else np.zeros(nodes.place_of_cpu.size, np.int64)
    complexes = np.stack([nodes.node_of_cpu.astype(np.int64), place], axis=1)
    return np.unique(complexes, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def make_caches(config: Cache, nodes: Nodes, host_frames: int) -> Caches:
    """Empty caches, of line numbers just wide enough."""
    wide = np.uint32 if host_frames < 1 << 26 else np.uint64
    shared = share_llc(nodes, config.llc.cpus)
    cpus, shares = shared.size, int(shared.max(initial=-1)) + 1
    if config.name == "none":
        cpus = shares = 0
    arrays = [(config.l1d, cpus), (config.l2, cpus), (config.llc, shares)]
    l1d, l2, llc = (np.full((count * array.sets, array.ways), np.iinfo(wide).max, wide) for array, count in arrays)
    return Caches(l1d, l2, llc, np.array([array.sets for array, _ in arrays], np.int64), shared * config.llc.sets)


@inner
def move_first(tags: Any, row: Int, way: Int, tag: Any) -> None:
    """Put a tag before those of the ways before ``way``, whose own goes."""
    for place in range(way, 0, -1):
        tags[np.uint64(row), place] = tags[np.uint64(row), place - 1]
    tags[np.uint64(row), 0] = tag


@inner
def reuse(tags: Any, row: Int, ways: Int, tag: Any) -> bool:
    """Look a tag up; a hit becomes the most recent."""
    at = np.uint64(row)  # unsigned, as in `memvirt.tlb.hierarchy`
    if tags[at, 0] == tag:
        return True
    if ways <= LANES:
        return bring_first(tags, at * np.uint64(tags.shape[1]), ways, tag, tag, False)  # type: ignore[no-any-return]
    for way in range(1, ways):
        if tags[at, way] == tag:
            move_first(tags, row, way, tag)
            return True
    return False


@inner
def take(tags: Any, row: Int, ways: Int, tag: Any, empty: Any) -> bool:
    """Look a tag up, and enter it if it isn't there; returns whether it was.

    It goes over the first ``empty`` way, or else the least recent; over that always, with ``tag`` for ``empty``.
    """
    at = np.uint64(row)
    if tags[at, 0] == tag:
        return True
    if ways <= LANES:
        return bring_first(tags, at * np.uint64(tags.shape[1]), ways, tag, empty, True)  # type: ignore[no-any-return]
    way: Int = 0
    while way < ways and tags[at, way] != tag:
        way += 1
    found = way < ways
    if not found:
        way = 0
        while way < ways - 1 and tags[at, way] != empty:
            way += 1
    move_first(tags, row, way, tag)
    return found  # type: ignore[return-value]


@inner
def set_of(sets: Int, line: Int) -> Int:
    """Number of a line's set; most caches have a power of two of them, which takes no division."""
    return line & (sets - 1) if sets & (sets - 1) == 0 else line % sets


@inner
def l2_row(caches: Caches, cpu: Int, line: Int) -> Int:
    """Row of a line's set in the L2."""
    return cpu * caches.sets[1] + set_of(caches.sets[1], line)  # type: ignore[no-any-return]


@inner
def llc_row(caches: Caches, cpu: Int, line: Int) -> Int:
    """Row of a line's set in the last-level cache."""
    return caches.llc_of_cpu[cpu] + set_of(caches.sets[2], line)  # type: ignore[no-any-return]


@inner
def read_line(caches: Caches, cpu: Int, line: Int) -> Int:
    """Read a line, filling every level on the way; returns where it was: 0 L1D, 1 L2, 2 LLC, 3 memory."""
    tag = caches.l1d.dtype.type(line)
    if take(caches.l1d, cpu * caches.sets[0] + set_of(caches.sets[0], line), caches.l1d.shape[1], tag, tag):
        return 0
    return read_beyond_l1d(caches, cpu, line)


@inner
def read_beyond_l1d(caches: Caches, cpu: Int, line: Int) -> Int:
    """Read a line from the L2 on, filling every level on the way; returns where it was, as `read_line` does."""
    tag = caches.l1d.dtype.type(line)
    if take(caches.l2, l2_row(caches, cpu, line), caches.l2.shape[1], tag, tag):
        return 1
    if take(caches.llc, llc_row(caches, cpu, line), caches.llc.shape[1], tag, tag):
        return 2
    return 3
