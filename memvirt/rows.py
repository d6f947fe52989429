"""From counts and cycles to tidy rows: one a VM, and one a VM and epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = dict[str, NDArray[Any]]

#: Every measured column of the result table with its kind, in the table's order (DESIGN: the result contract).
COLUMNS: dict[str, str] = {
    "accesses": "int",
    "instructions": "int",
    "l1_tlb_misses": "int",
    "l2_tlb_misses": "int",
    "tlb_flushes": "int",
    "tlb_shootdowns": "int",
    "walks": "int",
    "faulting_walks": "int",
    "walk_refs_guest": "int",
    "walk_refs_host": "int",
    "walk_refs_in_l1d": "int",
    "walk_refs_in_l2": "int",
    "walk_refs_in_llc": "int",
    "walk_refs_in_memory": "int",
    "walk_refs_in_memory_remote": "int",
    "refs_per_walk": "str",
    "pwc_hits_guest": "int",
    "pwc_hits_host": "int",
    "l1d_cache_hits": "int",
    "l1d_cache_misses": "int",
    "l2_cache_hits": "int",
    "l2_cache_misses": "int",
    "llc_hits": "int",
    "llc_misses": "int",
    "data_refs_in_l2": "int",
    "data_refs_in_llc": "int",
    "data_refs_in_memory": "int",
    "data_refs_in_memory_remote": "int",
    "vm_exits": "int",
    "vm_exits_ept_violation": "int",
    "vm_exits_shadow_fault_true": "int",
    "vm_exits_shadow_fault_hidden": "int",
    "vm_exits_page_table_write": "int",
    "vm_exits_cr3_write": "int",
    "vm_exits_invlpg": "int",
    "minor_faults": "int",
    "host_minor_faults": "int",
    "major_faults": "int",
    "swap_in_pages": "int",
    "swap_out_pages": "int",
    "remote_accesses": "int",
    "resident_pages": "float",
    "stall_ns": "int",
    "base_cycles": "float",
    "tlb_cycles": "float",
    "walk_cycles": "float",
    "data_cycles": "float",
    "exit_cycles": "float",
    "fault_cycles": "float",
    "stall_cycles": "float",
    "cycles": "float",
    "slowdown": "float",
}


def refs_per_walk(histogram: NDArray[np.int64]) -> str:
    """Write a histogram of references a walk as ``24:626043``, most frequent first."""
    used = np.flatnonzero(histogram)
    order = used[np.lexsort((used, -histogram[used]))]
    return " ".join(f"{refs}:{histogram[refs]}" for refs in order)


def _value(name: str, values: Counts, vm: int, epochs: slice) -> Any:
    part = values[name][vm, epochs]
    if name == "resident_pages":
        return float(part.mean()) if part.size else 0.0
    return int(part.sum()) if COLUMNS[name] == "int" else float(part.sum())


def rows(
    counts: Counts, histogram: NDArray[np.int64], cycles: Counts, baselines: list[Counts]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Make the rows of one point.

    Parameters
    ----------
    counts : dict of (vms, epochs) int64
        Of all rooms; epoch 0 is the warm-up and is left out.
    histogram : (vms, refs) int64
        Walks by their number of references.
    cycles : dict of (vms, epochs) float64
    baselines : list of dict of (1, epochs) float64
        Of each VM, its cycles in the set-up that `slowdown` divides by.
    """
    values = {**counts, **cycles}
    known = [name for name in COLUMNS if name in values]
    table, epochs = [], []
    for vm in range(histogram.shape[0]):
        row: dict[str, Any] = {"vm": vm}
        row |= {name: _value(name, values, vm, slice(1, None)) for name in known}
        row["refs_per_walk"] = refs_per_walk(histogram[vm])
        alone = float(baselines[vm]["cycles"][0, 1:].sum())
        row["slowdown"] = row["cycles"] / alone if alone else float("nan")
        table.append(row)
        for epoch in range(1, values["accesses"].shape[1]):
            if values["accesses"][vm, epoch]:
                part = {name: _value(name, values, vm, slice(epoch, epoch + 1)) for name in known}
                epochs.append({"vm": vm, "epoch": epoch - 1, **part})
    return table, epochs
