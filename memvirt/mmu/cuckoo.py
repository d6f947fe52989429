"""Cuckoo walk caches: what says, before a hashed table is probed, which size a page has and in which way its entry is.

Skarlatos et al., ASPLOS'20; Stojkovic et al., ASPLOS'22. A section header tells of one line of eight translations, and an entry of
a cuckoo walk table is a line of 64 headers: of 4K pages it spans 2 MiB (PTE), of 2M pages 1 GiB (PMD), of 1G pages 512 GiB (PUD).
A header names the way of a page of its own size, and that there are smaller ones. In the guest's dimension PUD and PMD entries are
cached, in the host's PTE ones as well: apart for the guest's tables (step 1), and for the data (step 3) as long as that pays: below
half hits those aren't cached, until more than 0.85 of the PMD lookups hit. A lookup looks into all at once. What it misses is
read from the table through the data caches, two ways at a time, beside the walk, and takes no time; the guest's tables are
found by a cache of their own that always hits (99 % in the paper).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner, inner_apart
from memvirt.mmu.caches import take
from memvirt.mmu.config import Pwc as Caches
from memvirt.mmu.config import PwcArray, PwcSizes
from memvirt.mmu.mode import Setup
from memvirt.mmu.port import CPU, GUEST, HOST, VM, Port, overlap, read_entry
from memvirt.mmu.pwc import EMPTY, SPACE_BITS, Pwc, make_pwc, pwc_row
from memvirt.typing import Int

ALL_SIZES, SIZE_KNOWN, WAY_KNOWN = np.arange(3)  #: what the caches know of a page
PMD, PUD, PTE_OF_TABLES, PTE = np.arange(1, 5)  #: at which level of a dimension a `Pwc` keeps them
SPAN = 9  #: an entry tells of 64 headers of eight pages: of so many bits of the number of a page of its size
LOOKUPS, PTE_HITS, PMD_HITS, CACHED = np.arange(4)
WINDOW = 1024  #: lookups after which it is asked whether PTE entries pay (assumed)
TABLE_WAYS, LINES, UPPER = 2, 64, np.int64(1)
MIX = np.int64(-7046029254386353131)


class Known(NamedTuple):
    """The caches, and the tables behind them.

    Attributes
    ----------
    caches : Pwc
    base, skip, lines : (vms, 2) int64
        By dimension: first host frame of a VM's tables, lines of translations before the walk table's, and lines of that.
    pays : (cpus, 4) int64
        Lookups of the data's PTE entries in this window, hits of those and of PMD entries, and whether they are cached.
    """

    caches: Pwc
    base: NDArray[np.int64]
    skip: NDArray[np.int64]
    lines: NDArray[np.int64]
    pays: NDArray[np.int64]


def make_known(setup: Setup, base: NDArray[np.int64], skip: NDArray[np.int64], lines: NDArray[np.int64]) -> Known:
    """Empty caches, of the sizes that the mode's options ``cwc_*`` say; without walk caches there are none.

    Parameters
    ----------
    setup : Setup
    base, skip, lines : (vms, 2) int64
        As `Known` has them.
    """
    none = PwcArray(entries=0)
    pud, pmd, pte, tables = (PwcArray(entries=setup.option(f"cwc_{name}")) for name in ("pud", "pmd", "pte", "pte_tables"))
    caches = Caches(
        enabled=setup.config.pwc.enabled,
        guest=PwcSizes(pde=pmd, pdpte=pud, pml4e=none, pml5e=none),
        host=PwcSizes(pde=pmd, pdpte=pud, pml4e=tables, pml5e=pte),
    )
    config = setup.config.model_copy(update={"pwc": caches, "nested_tlb": none})
    pays = np.zeros((setup.schedule.cpus, 4), np.int64)
    pays[:, CACHED] = 1
    return Known(make_pwc(setup._replace(config=config)), base, skip, lines, pays)


@inner_apart
def read_headers(known: Known, port: Port, dimension: Int, which: Int, section: Int) -> None:
    """Read an entry of the table behind the caches, beside the walk."""
    vm = port.context[VM]
    for way in range(TABLE_WAYS):
        hashed = ((section << 3 | which) * MIX + way * 1013904223) * MIX
        line = known.skip[vm, dimension] + (hashed >> 17) % known.lines[vm, dimension]
        overlap(port, read_entry(port, dimension, known.base[vm, dimension] + line // LINES, (line % LINES) << 3, UPPER))


@inner
def is_cached(known: Known, port: Port, dimension: Int, which: Int, space: Int, section: Int) -> bool:
    """Look an entry up; it is there the next time."""
    caches = known.caches
    if caches.sets[dimension, which] == 0:
        return False
    row = pwc_row(caches, port.context[CPU], dimension, which, section)
    tag = (space << SPACE_BITS) | section
    if take(caches.tags, row, caches.ways[dimension, which], tag, EMPTY):
        return True
    read_headers(known, port, dimension, which, section)
    return False


@inner
def what_is_known(pte: Int, pmd: Int, pud: Int, lowest: Int) -> Int:
    """What hits tell of a page: its way if the entry of its own size is among them, its size if any is."""
    own = pte if lowest == 0 else (pmd if lowest == 1 else pud)
    if own:
        return WAY_KNOWN
    return SIZE_KNOWN if pmd or pud else ALL_SIZES


@inner
def of_guest(known: Known, port: Port, space: Int, vpn: Int, lowest: Int) -> Int:
    """What is known of a guest's page."""
    pud = is_cached(known, port, GUEST, PUD, space, vpn >> (18 + SPAN))
    pmd = is_cached(known, port, GUEST, PMD, space, vpn >> (9 + SPAN))
    return what_is_known(0, pmd, pud, lowest)  # type: ignore[no-any-return]


@inner
def of_table(known: Known, port: Port, space: Int, gfn: Int) -> Int:
    """What is known of the 4K page that holds a piece of the guest's table."""
    return WAY_KNOWN if is_cached(known, port, HOST, PTE_OF_TABLES, space, gfn >> SPAN) else SIZE_KNOWN


@inner
def of_data(known: Known, port: Port, space: Int, gfn: Int, lowest: Int) -> Int:
    """What is known of the host page behind a guest frame."""
    pud = is_cached(known, port, HOST, PUD, space, gfn >> (18 + SPAN))
    pmd = is_cached(known, port, HOST, PMD, space, gfn >> (9 + SPAN))
    pays = known.pays[port.context[CPU]]
    pte = pays[CACHED] and lowest == 0 and is_cached(known, port, HOST, PTE, space, gfn >> SPAN)
    if lowest == 0:
        pays[LOOKUPS] += 1
        pays[PTE_HITS] += pte
        pays[PMD_HITS] += pmd
        if pays[LOOKUPS] == WINDOW:
            if pays[CACHED]:
                pays[CACHED] = 2 * pays[PTE_HITS] >= WINDOW
            else:
                pays[CACHED] = 100 * pays[PMD_HITS] > 85 * WINDOW
            pays[:CACHED] = 0
    return what_is_known(pte, pmd, pud, lowest)  # type: ignore[no-any-return]
