"""The cost room: counts × prices = cycles. Linear, so re-pricing needs no new simulation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memvirt.cost.config import Cpu

__all__ = ["CYCLES", "PARTS", "Cpu", "price"]

EXIT_REASONS = (
    "ept_violation",
    "shadow_fault_true",
    "shadow_fault_hidden",
    "page_table_write",
    "cr3_write",
    "invlpg",
)
#: The parts of a VM's cycles, in the order in which they are summed.
PARTS = ("base_cycles", "tlb_cycles", "walk_cycles", "data_cycles", "exit_cycles", "fault_cycles", "stall_cycles")
CYCLES = (*PARTS, "cycles")  #: what a pricing gives


def price(cpu: Cpu, counts: dict[str, NDArray[np.int64]]) -> dict[str, NDArray[np.float64]]:
    """Price the counts of one design.

    Parameters
    ----------
    cpu : Cpu
    counts : dict of (vms, epochs) int64
        Counters of the memory, TLB and MMU rooms.

    Returns
    -------
    dict of (vms, epochs) float64
        ``cycles`` and the `PARTS` that it is the sum of: instructions, hits beyond the first TLB level, walks, data beyond
        the L1D, VM exits, page faults, and waiting for the swap device.
    """
    zero = np.zeros_like(next(iter(counts.values())), np.float64)

    def total(prices: dict[str, float]) -> NDArray[np.float64]:
        amount = zero.copy()
        for name, each in prices.items():
            if name in counts:
                amount += each * counts[name]
        return amount

    remote = cpu.memory_remote - cpu.memory
    shown = 1.0 - cpu.memory_overlap
    cycles = {
        "base_cycles": total({"instructions": cpu.cycles_per_instruction}),
        "tlb_cycles": total({"tlb_cycles": 1.0}),
        "walk_cycles": total(
            {
                "pwc_hits_guest": cpu.pwc,
                "pwc_hits_host": cpu.pwc,
                "walk_refs_in_l1d": cpu.l1d,
                "walk_refs_in_l2": cpu.l2,
                "walk_refs_in_llc": cpu.llc,
                "walk_refs_in_memory": cpu.memory,
                "walk_refs_in_memory_remote": remote,
            }
        ),
        "data_cycles": total(
            {
                "data_refs_in_l2": shown * (cpu.l2 - cpu.l1d),
                "data_refs_in_llc": shown * (cpu.llc - cpu.l1d),
                "data_refs_in_memory": shown * (cpu.memory - cpu.l1d),
                "data_refs_in_memory_remote": shown * remote,
            }
        ),
        "exit_cycles": total({f"vm_exits_{reason}": getattr(cpu, f"exit_{reason}") for reason in EXIT_REASONS}),
        "fault_cycles": total(
            {"minor_faults": cpu.minor_fault, "host_minor_faults": cpu.minor_fault, "major_faults": cpu.major_fault}
        ),
        "stall_cycles": total({"stall_ns": cpu.ghz}),
    }
    whole = zero.copy()
    for part in PARTS:
        whole += cycles[part]
    cycles["cycles"] = whole
    return cycles
