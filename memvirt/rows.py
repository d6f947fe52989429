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


Columns = dict[str, Any]  #: arrays, or lists of texts, of one length


def rows(counts: Counts, histogram: NDArray[np.int64], cycles: Counts, baselines: list[Counts]) -> tuple[Columns, Columns]:
    """Make the rows of one point, column by column.

    Parameters
    ----------
    counts : dict of (vms, epochs) int64
        Of all rooms; epoch 0 is the warm-up and is left out.
    histogram : (vms, refs) int64
        Walks by their number of references.
    cycles : dict of (vms, epochs) float64
    baselines : list of dict of (1, epochs) float64
        Of each VM, its cycles in the set-up that `slowdown` divides by.

    Returns
    -------
    results : dict
        One row a VM.
    epochs : dict
        One row a VM and epoch with an access.
    """
    values = {**counts, **cycles}
    known = [name for name in COLUMNS if name in values]
    results: Columns = {"vm": np.arange(histogram.shape[0])}
    vm, epoch = np.nonzero(values["accesses"][:, 1:])
    epochs: Columns = {"vm": vm, "epoch": epoch}
    for name in known:
        part = values[name][:, 1:]
        if name == "resident_pages":
            part = part.astype(np.float64)
            results[name] = part.mean(axis=1) if part.shape[1] else np.zeros(part.shape[0])
        else:
            results[name] = np.array([each.sum() for each in part])
        epochs[name] = part[vm, epoch]
    results["refs_per_walk"] = [refs_per_walk(each) for each in histogram]
    alone = np.array([each["cycles"][0, 1:].sum() for each in baselines])
    with np.errstate(divide="ignore", invalid="ignore"):
        results["slowdown"] = np.where(alone > 0, results["cycles"] / alone, np.nan)
    return results, epochs


def as_rows(columns: Columns) -> list[dict[str, Any]]:
    """Rows of columns, as plain Python values."""
    lists = {name: value if isinstance(value, list) else value.tolist() for name, value in columns.items()}
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
