"""Shadow tables gVA→hPA of the guest's shape, for the modes that keep them."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner, kernel
from memvirt.memory.layout import radix_tables
from memvirt.mmu.mode import Setup
from memvirt.mmu.port import NODE, REPLICA_WRITES, Port
from memvirt.mmu.traffic import place_table
from memvirt.tlb.geometry import Entries, lay_out_entries
from memvirt.types import NONE
from memvirt.typing import Int

MISSING, PRESENT = np.uint8(0), np.uint8(1)


class Shadow(NamedTuple):
    """The shadow tables.

    Attributes
    ----------
    entries : Entries
        Which pages share an entry: those of the smaller of guest's and host's page.
    present : (pages,) uint8
        Of an entry, at its first page.
    table : (rows, levels) uint32
        Number of the table at each level, the guest's and its shadow's alike.
    row_first : (rows + 1,) int64
        First page of each row.
    hfn : (tables + 1,) uint32
        Its host frame, `NONE` until needed; the last is the next frame to hand out.
    path : (levels,) uint32
        Host frames of the tables on the way of the walk that is going on.
    """

    entries: Entries
    present: NDArray[np.uint8]
    table: NDArray[np.uint32]
    row_first: NDArray[np.int64]
    hfn: NDArray[np.uint32]
    path: NDArray[np.uint32]


def number_tables(setup: Setup) -> tuple[NDArray[np.uint32], int]:
    """Number the guest's tables: one tree for each address space."""
    _, first = np.unique(setup.frames.guest.row, return_index=True)
    vpn = setup.space.vpn[first].astype(np.int64)
    return radix_tables([setup.port.space_of_page[first]], vpn >> 9, setup.frames.guest_levels)


def frames(setup: Setup) -> int:
    """Host frames that shadow tables may take."""
    return number_tables(setup)[1]


def make_shadow(setup: Setup) -> Shadow:
    """Shadow tables in sync with what is mapped and backed before access 0."""
    table, count = number_tables(setup)
    hfn = np.full(count + 1, NONE, np.uint32)
    hfn[-1] = setup.port.spare
    row_first = np.searchsorted(setup.frames.guest.row, np.arange(table.shape[0] + 1)).astype(np.int64)
    shadow = Shadow(
        lay_out_entries(setup.space, "smaller"),
        np.zeros(setup.space.vpn.size, np.uint8),
        table,
        row_first,
        hfn,
        np.zeros(table.shape[1], np.uint32),
    )
    mapped = np.flatnonzero(setup.port.hfn_of_page != NONE)
    mapped = mapped[np.argsort(setup.port.frame_of_page[mapped], kind="stable")]
    ends = np.searchsorted(setup.port.frame_of_page[mapped], setup.port.frame_base)
    for vm, (first, end) in enumerate(pairwise(ends)):
        setup.port.context[NODE] = setup.port.home_of_vm[vm]
        fill_all(shadow, setup.port, mapped[first:end])
    setup.port.tally[:] = 0
    return shadow


@inner
def lowest_level(shadow: Shadow, page: Int) -> Int:
    """Level of a page's shadow entry."""
    return np.int64(min(shadow.entries.guest_order[page], shadow.entries.host_order[page])) // 9


@inner
def is_present(shadow: Shadow, page: Int) -> bool:
    """Whether a page has its shadow entry."""
    return shadow.present[shadow.entries.tag[page, lowest_level(shadow, page)]] == PRESENT  # type: ignore[no-any-return]


@inner
def make_table(shadow: Shadow, port: Port, page: Int, level: Int) -> None:
    """Give the shadow table at a level on the way to a page its frame, if it has none."""
    table = shadow.table[port.guest_row[page], level]
    if shadow.hfn[table] == NONE:
        shadow.hfn[table] = shadow.hfn[-1]
        place_table(port, np.int64(shadow.hfn[-1]), port.context[NODE])
        port.tally[REPLICA_WRITES] += port.copies
        shadow.hfn[-1] += 1


@inner
def fill_entry(shadow: Shadow, port: Port, page: Int) -> None:
    """Make a page's shadow entry, and the tables above it."""
    lowest = lowest_level(shadow, page)
    for level in range(shadow.table.shape[1] - 1, lowest - 1, -1):
        make_table(shadow, port, page, level)
    shadow.present[shadow.entries.tag[page, lowest]] = PRESENT
    port.tally[REPLICA_WRITES] += port.copies


@kernel
def fill_all(shadow: Shadow, port: Port, pages: NDArray[np.int64]) -> None:
    """Synchronize some pages."""
    for page in pages:
        fill_entry(shadow, port, page)


@inner
def zap_entry(shadow: Shadow, port: Port, page: Int) -> None:
    """Empty a page's shadow entry."""
    if port.copies > 0 and is_present(shadow, page):
        port.tally[REPLICA_WRITES] += port.copies
    shadow.present[shadow.entries.tag[page, lowest_level(shadow, page)]] = MISSING


@inner
def zap_guest_entry(shadow: Shadow, port: Port, page: Int) -> None:
    """Empty the shadow entries of all that one guest entry maps."""
    first = np.int64(port.first_page[page])
    for other in range(first, port.vpn.size):
        if np.int64(port.first_page[other]) != first:
            break
        zap_entry(shadow, port, other)


@inner
def missing_tables(shadow: Shadow, port: Port, page: Int) -> Int:
    """How many tables a page's shadow entry lacks."""
    missing = 0
    for level in range(lowest_level(shadow, page), shadow.table.shape[1]):
        if shadow.hfn[shadow.table[port.guest_row[page], level]] == NONE:
            missing += 1
    return missing


@inner
def set_path(shadow: Shadow, port: Port, page: Int) -> None:
    """Look up the tables on the way to a page."""
    for level in range(shadow.path.size):
        shadow.path[level] = shadow.hfn[shadow.table[port.guest_row[page], level]]
