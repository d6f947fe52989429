"""A VM's page life and its detail as one: what the life counts, and what its CPU counts meanwhile.

The life says how long the VM's CPUs are busy; the detail, an access-level trace in steady state, what they do then. In a time in
which they are busy for ``b`` cycles, the detail goes by ``b`` ÷ its own baseline cycles times: so often are its counts taken, and
so the baseline of the two together is the busy time itself. Mapping, unmapping, swap and copies come from the life alone,
translation and data references from the detail alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.counters import Column, weights
from memvirt.mmu.port import LEVELS, ROWS
from memvirt.types import EXITS, PLACES

Counts = dict[str, NDArray[Any]]

#: Counters of the memory room that are the detail's: all others are the life's.
OF_DETAIL = ("accesses", "instructions")
#: The life's own.
COLUMNS = (
    Column("visits", "visits", doc="of a page life, each of which stands for the accesses to its page in a step", kind="int"),
    Column("baseline_cycles", "cycles", doc="of a page life: what `slowdown` divides by, its busy time"),
)
MANY = 1 << 30  #: instructions, so that few are lost by rounding
#: Counters of a detail that this module reads or adds to.
SEEN = (
    "data_refs_in_memory",
    "walk_refs_in_memory",
    "walk_refs_overlapped_in_memory",
    "vm_exits",
    *(f"vm_exits_{reason}" for reason in EXITS),
)
TABLES = ("guest_tables_remote", "host_tables_remote")
GUEST_FAULTS, HOST_FAULTS = ("minor_faults", "guest_major_faults"), ("host_minor_faults", "major_faults")


class Detail(NamedTuple):
    """What is known of a detail, its warm-up left out.

    Attributes
    ----------
    counts : dict of int
        Counters of its memory, TLB and MMU rooms.
    baseline_cycles : float
        On `native`, everything mapped, without faults.
    histogram : (refs,) int64
        Walks by their number of references.
    levels : (rows, levels, places) int64
    paths : (n, 2) int64
    """

    counts: dict[str, int]
    baseline_cycles: float
    histogram: NDArray[np.int64]
    levels: NDArray[np.int64]
    paths: NDArray[np.int64]


def unseen(cycles_per_instruction: float) -> Detail:
    """A detail of which only instructions are known: what the CPU does takes what it would natively."""
    nothing = np.zeros((len(ROWS), LEVELS, len(PLACES)), np.int64)
    counts = {"accesses": 0, "instructions": MANY, **dict.fromkeys(SEEN, 0)}
    return Detail(counts, MANY * cycles_per_instruction, np.zeros(1, np.int64), nothing, np.zeros((0, 2), np.int64))


class Joined(NamedTuple):
    """Counts of life and detail together.

    Attributes
    ----------
    counts : dict of (vms, epochs) int64
    baseline_cycles : (vms, epochs) float64
    histogram : (vms, refs) int64
    levels : (vms, rows, levels, places) int64
    """

    counts: Counts
    baseline_cycles: NDArray[np.float64]
    histogram: NDArray[np.int64]
    levels: NDArray[np.int64]


def whole(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Round to whole numbers."""
    return np.rint(values).astype(np.int64)


def ratio(part: NDArray[Any], of: NDArray[Any]) -> NDArray[np.float64]:
    """Divide; 0 where there is nothing to divide by."""
    return np.asarray(np.divide(part, of, out=np.zeros(part.shape), where=of > 0), np.float64)


def join(
    life: Counts,
    details: Sequence[Detail],
    ghz: float,
    scale: float | None,
    exits: Mapping[str, tuple[int, int]],
    tables_remote: bool = True,
    tables: tuple[str, str] | None = None,
) -> Joined:
    """Join the lives of a host's VMs with their details; or make up accounts of accesses whose walks nobody asked for.

    Parameters
    ----------
    life : dict of (vms, epochs) int64
        Counters of the memory room; epoch 0 is the warm-up.
    details : sequence of Detail
        One a VM.
    ghz : float
        Cycles in a ns.
    scale : float, optional
        How many pages each page of the lives stands for: what happens to it counts so often, as each counter says (its weight).
        None of access-level traces, which are their own details: of that, cycles of an instruction are used alone.
    exits : dict of (int, int)
        Exits by reason that each fault of the guest takes, and each of the host.
    tables_remote : bool
        Whether page tables are as often on another node as the data are; else never.
    tables : tuple of str, optional
        Where vCPUs or pages move, counters of the life that say how often they are, instead: those that walks read in the guest's
        dimension, and in the host's.
    """
    times = weights("memory", scale or 1.0)
    counts = {name: whole(values * times[name]) for name, values in life.items() if name not in OF_DETAIL}
    cycles = np.array([[each.baseline_cycles] for each in details])
    if scale is None:
        busy = life["instructions"] * cycles / np.array([[each.counts["instructions"]] for each in details])
    else:
        busy = life["busy_ns"] * ghz
    often = busy / cycles
    remote = ratio(life["remote_accesses"], life["accesses"])
    for name in details[0].counts:
        if name in OF_DETAIL or name not in life:
            counts[name] = whole(often * np.array([[each.counts[name]] for each in details]))
    if scale is None:
        counts["accesses"] = life["accesses"]
    counts["remote_accesses"] = whole(remote * counts["accesses"])
    counts["data_refs_in_memory_remote"] = whole(remote * counts["data_refs_in_memory"])
    table_share = remote if tables_remote else np.zeros_like(remote)
    rows = details[0].levels.shape[0]
    row_shares = [table_share] * rows
    if tables is not None:
        first, others = (ratio(life[name], life["accesses"]) for name in tables)
        row_shares = [first, *[others] * (rows - 1)]
        read = np.stack([each.levels[..., -2].sum(axis=1) for each in details])
        part = ratio(read[:, :1], read.sum(axis=1, keepdims=True))  # in the guest's dimension
        table_share = part * first + (1.0 - part) * others
        counts |= {name: whole(ratio(life[name], life["accesses"]) * counts["accesses"]) for name in TABLES}
    for kind in ("walk_refs_in_memory", "walk_refs_overlapped_in_memory"):
        counts[f"{kind}_remote"] = whole(table_share * counts[kind])
    guest, host = (sum(counts[name] for name in names) for names in (GUEST_FAULTS, HOST_FAULTS))
    for reason, (of_guest, of_host) in exits.items():
        more = of_guest * guest + of_host * host
        counts[f"vm_exits_{reason}"] = counts[f"vm_exits_{reason}"] + more
        counts["vm_exits"] = counts["vm_exits"] + more
    counts["visits"] = life["accesses"] if scale is not None else np.zeros_like(life["accesses"])
    in_all = often[:, 1:].sum(axis=1)
    levels = whole(in_all[:, None, None, None] * np.stack([each.levels for each in details]))
    shares = np.stack([ratio((each * busy)[:, 1:].sum(axis=1), busy[:, 1:].sum(axis=1)) for each in row_shares], axis=1)
    levels[..., -1] = whole(shares[:, :, None] * levels[..., -2])
    refs = max(each.histogram.size for each in details)
    histogram = np.stack([np.pad(each.histogram, (0, refs - each.histogram.size)) for each in details])
    return Joined(counts, busy, whole(in_all[:, None] * histogram), levels)
