"""The cost room: counts × prices = cycles. Linear, so re-pricing needs no new simulation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.cost.config import Cpu
from memvirt.counters import Column, names_of
from memvirt.types import EXITS, PATH_BITS, PLACES

__all__ = ["COLUMNS", "CYCLES", "HOST_CYCLES", "PARTS", "Cpu", "latencies", "price", "price_levels", "price_pairs", "shown"]

#: The parts of a VM's cycles, in the order in which they are summed.
PART_COLUMNS = (
    Column("base_cycles", "cycles", doc="of the instructions"),
    Column("tlb_cycles", "cycles", doc="of TLB look-ups beyond what is hidden"),
    Column("walk_cycles", "cycles", doc="of walks: what the program waits for"),
    Column("data_cycles", "cycles", doc="of data beyond the L1D: what the program waits for"),
    Column("exit_cycles", "cycles", doc="of VM exits"),
    Column("shootdown_cycles", "cycles", doc="of invalidating translations"),
    Column("fault_cycles", "cycles", doc="of page faults, waiting left out; replicas of page tables written for them too"),
    Column("clearing_cycles", "cycles", doc="of clearing and copying pages"),
    Column(
        "syscall_cycles",
        "cycles",
        doc="of system calls that unmap and protect, and of doing so in replicas of page tables; of scans of NUMA balancing",
    ),
    Column("stall_cycles", "cycles", doc="of waiting for memory, and for pages and vCPUs to be moved"),
)
#: What the host's CPUs spend on memory beside the VMs, or while one waits; no part of the VM's cycles but for what it waits.
HOST_WORK = ("scanning", "copying", "compressing", "sampling", "reclaiming")
#: What a pricing gives.
PRICED = (
    *PART_COLUMNS,
    Column("cycles", "cycles", doc="of the VM: the sum of those parts"),
    Column("walk_pending_cycles", "cycles", doc="what walks take one after the other, however much of it the program waits for"),
    Column("host_cycles_{}", "cycles", doc="CPU time of the host, in no VM's `cycles` but for what it waits", over=HOST_WORK),
)
#: And where memory has a bandwidth (`memvirt.cost.queueing`).
QUEUED = (
    Column(
        "queue_cycles",
        "cycles",
        doc="that references to memory waited for others, one after the other, however much of it the program waits for "
        "(`numa.bandwidths`)",
    ),
)
COLUMNS = (*PRICED, *QUEUED)
PARTS, HOST_CYCLES, CYCLES = names_of(PART_COLUMNS), names_of(PRICED[-1:]), names_of(PRICED)


def shown(at_once: int, dependence: float | NDArray[np.float64]) -> float | NDArray[np.float64]:
    """Share of a latency that a program waits for, where so many can go on at once.

    An access that depends on the one before waits for all of it; the others fill what can go on beside them.
    """
    return dependence + (1.0 - dependence) / at_once


class Beyond(NamedTuple):
    """What references to memory cost beyond `cpu.memory`.

    Attributes
    ----------
    data, walks : (vms, epochs) float64
        Cycles of those for data, and of walks.
    remote_walk : (vms, epochs) float64
        Of a walk's reference to another node, at the mean.
    """

    data: NDArray[np.float64]
    walks: NDArray[np.float64]
    remote_walk: NDArray[np.float64]


def price_pairs(cpu: Cpu, latencies_ns: NDArray[np.float64], traffic: NDArray[np.int64]) -> Beyond:
    """Price references to memory by node pair.

    Parameters
    ----------
    cpu : Cpu
    latencies_ns : (nodes, nodes) or (epochs, nodes, nodes) float
        Of a reference from a CPU of each node (row) to memory of each.
    traffic : (vms, epochs, kinds, nodes, nodes) int64
        As the MMU room has it; the first kind is data.
    """
    more = latencies_ns * cpu.ghz - cpu.memory
    cycles = (traffic * more[..., None, :, :]).sum(axis=(3, 4))
    away = traffic[:, :, 1:].sum(axis=2) * ~np.eye(more.shape[-1], dtype=bool)
    mean = (away * more).sum(axis=(2, 3)) / np.maximum(away.sum(axis=(2, 3)), 1)
    return Beyond(cycles[:, :, 0], cycles[:, :, 1:].sum(axis=2), mean)


def price(
    cpu: Cpu,
    counts: dict[str, NDArray[np.int64]],
    dependence: Sequence[float | None] = (None,),
    virtual: bool = False,
    beyond: Beyond | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Price the counts of one design.

    Parameters
    ----------
    cpu : Cpu
    counts : dict of (vms, epochs) int64
        Counters of the memory, TLB and MMU rooms.
    dependence : sequence of float
        Of each VM's accesses, or one for all; None where only the CPU's default is known.
    virtual : bool
        Whether the VMs are guests, whose interrupts of each other pass through the host.
    beyond : Beyond, optional
        What references to memory cost beyond `cpu.memory`, by node pair; else a remote one costs `cpu.memory_remote`.

    Returns
    -------
    dict of (vms, epochs) float64
        ``cycles`` and the `PARTS` that it is the sum of: instructions, TLB look-ups beyond what is hidden, walks, data beyond
        the L1D, VM exits, invalidating translations, page faults, clearing and copying pages, system calls, and waiting for memory;
        ``walk_pending_cycles``; and the `HOST_CYCLES`.
    """
    depends = np.array([[cpu.dependence if each is None else each] for each in dependence])
    walk_shown = shown(cpu.walkers, depends) if cpu.walk_shown is None else cpu.walk_shown
    data_shown = shown(cpu.fill_buffers, depends) if cpu.data_shown is None else cpu.data_shown
    zero = np.zeros_like(next(iter(counts.values())), np.float64)

    def total(prices: dict[str, float]) -> NDArray[np.float64]:
        amount = zero.copy()
        for name, each in prices.items():
            if name in counts:
                amount += each * counts[name]
        return amount

    remote = cpu.memory_remote - cpu.memory if beyond is None else 0.0
    in_place = (*place_prices(cpu)[:-1], remote)
    overlapped = {f"walk_refs_overlapped_in_{place}": -each for place, each in zip(PLACES, in_place, strict=True)}
    pending = total(
        {
            "pwc_lookups_guest": cpu.pwc,
            "pwc_lookups_host": cpu.pwc,
            "nested_tlb_lookups": cpu.pwc,
            **{f"walk_refs_in_{place}": each for place, each in zip(PLACES, in_place, strict=True)},
            **overlapped,
            "walk_refs_in_stacked": stacked_price(cpu),
            "walk_lookup_cycles": 1.0,
        }
    )
    beyond = Beyond(zero, zero, zero) if beyond is None else beyond
    pending += beyond.walks - beyond.remote_walk * counts.get("walk_refs_overlapped_in_memory_remote", zero)
    cleared, copied = (4096.0 / bandwidth * cpu.ghz for bandwidth in (cpu.clear_bandwidth, cpu.copy_bandwidth))
    cycles = {
        "base_cycles": total({"instructions": cpu.cycles_per_instruction}),
        "tlb_cycles": total({"tlb_lookup_cycles": 1.0}),
        "walk_cycles": pending * walk_shown + total({"ad_updates_guest": cpu.ad_update, "ad_updates_host": cpu.ad_update}),
        "data_cycles": (
            total(
                {
                    "data_refs_in_l2": cpu.l2 - cpu.l1d,
                    "data_refs_in_llc": cpu.llc - cpu.l1d,
                    "data_refs_in_memory": cpu.memory - cpu.l1d,
                    "data_refs_in_memory_remote": remote,
                }
            )
            + beyond.data
        )
        * data_shown,
        "exit_cycles": total({f"vm_exits_{reason}": getattr(cpu, f"exit_{reason}") for reason in EXITS} | {"resyncs": cpu.resync}),
        "shootdown_cycles": total(
            {
                "tlb_invlpgs": cpu.invlpg,
                "tlb_flushes": cpu.tlb_flush,
                "tlb_batch_flushes": cpu.tlb_flush,
                "tlb_invepts": cpu.invept - cpu.tlb_flush,  # which are flushes as well
                "tlb_ipis": cpu.ipi_virtual if virtual else cpu.ipi,
            }
        ),
        "fault_cycles": total(
            {
                "minor_faults": cpu.minor_fault,
                "host_minor_faults": cpu.minor_fault,
                "major_faults": cpu.major_fault,
                "guest_major_faults": cpu.major_fault,
                "replica_maps": cpu.replica_map,
                "shadow_replica_writes": cpu.replica_map,
            }
        ),
        "clearing_cycles": total({"guest_cleared_pages": cleared, "host_cleared_pages": cleared, "guest_copied_pages": copied}),
        "syscall_cycles": total(
            {
                "unmap_calls": cpu.unmap,
                "unmapped_entries": cpu.unmap_page,
                "protect_calls": cpu.protect,
                "protected_entries": cpu.protect_page,
                "replica_unmaps": cpu.replica_unmap,
                "replica_protects": cpu.replica_protect,
                "hint_entries": cpu.protect_page,
            }
        ),
        "stall_cycles": total({"stall_ns": cpu.ghz, "copy_ns": cpu.ghz, "migration_ns": cpu.ghz, "vcpu_moves": cpu.vcpu_move}),
    }
    whole = zero.copy()
    for part in PARTS:
        whole += cycles[part]
    cycles |= {"cycles": whole, "walk_pending_cycles": pending}
    cycles |= {name: total({f"host_{reason}_ns": cpu.ghz}) for name, reason in zip(HOST_CYCLES, HOST_WORK, strict=True)}
    return cycles


def place_prices(cpu: Cpu) -> tuple[float, ...]:
    """What a reference costs by where it is found; a remote one stands under memory as well, and costs so much more."""
    return cpu.l1d, cpu.l2, cpu.llc, cpu.memory, cpu.memory_remote - cpu.memory


STACKED_NS = 6.0  #: a line comes so much sooner from stacked memory: Ryoo et al., ISCA'17, device timings of its table (recalled)


def stacked_price(cpu: Cpu) -> float:
    """What a line of stacked memory costs beyond one of main memory, where it stands as well; less than nothing, as a rule."""
    stacked = cpu.memory - STACKED_NS * cpu.ghz if cpu.memory_stacked is None else cpu.memory_stacked
    return max(stacked, 0.0) - cpu.memory


def price_levels(cpu: Cpu, levels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Price references by what they were read for.

    Parameters
    ----------
    cpu : Cpu
    levels : (vms, rows, levels, places) int64

    Returns
    -------
    (vms, rows, levels) float64
        Cycles, one reference after the other.
    """
    return np.asarray(levels @ np.array(place_prices(cpu)), np.float64)


def latencies(cpu: Cpu, paths: NDArray[np.int64], quantiles: tuple[float, ...] = (0.5, 0.9, 0.99)) -> NDArray[np.float64]:
    """Quantiles of the cycles that a walk takes.

    Parameters
    ----------
    cpu : Cpu
    paths : (n, 2) int64
        Kinds of walks (`memvirt.mmu.port.end_walk`), and how many there were.
    quantiles : tuple of float

    Returns
    -------
    (quantiles,) float64
        NaN if there were no walks.
    """
    key, times = paths[:, 0], paths[:, 1]
    if not times.sum():
        return np.full(len(quantiles), np.nan)
    cycles = np.zeros(key.size)
    prices = (*place_prices(cpu), cpu.pwc, stacked_price(cpu), 1.0)
    for place, each in enumerate(prices, 1):
        cycles += each * (key >> (PATH_BITS * (len(prices) - place)) & ((1 << PATH_BITS) - 1))
    order = np.argsort(cycles, kind="stable")
    reached = np.cumsum(times[order]) / times.sum()
    return np.asarray(cycles[order][np.searchsorted(reached, np.array(quantiles))], np.float64)
