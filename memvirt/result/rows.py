"""From counts and cycles to tidy rows: one a VM, and one a VM and epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memvirt.cost import CYCLES
from memvirt.memory.counters import FLOWS, GAUGES
from memvirt.result import monitor
from memvirt.types import EXITS

Counts = dict[str, NDArray[Any]]

#: Every measured column of the result table with its kind, in the table's order (DESIGN: the result contract).
COLUMNS: dict[str, str] = {
    "accesses": "int",
    "instructions": "int",
    "l1_tlb_misses": "int",
    "l2_tlb_misses": "int",
    "fetches": "int",
    "l1i_tlb_misses": "int",
    "dirty_walks": "int",
    "tlb_flushes": "int",
    "tlb_shootdowns": "int",
    "tlb_invlpgs": "int",
    "tlb_batch_flushes": "int",
    "tlb_invepts": "int",
    "tlb_ipis": "int",
    "walks": "int",
    "faulting_walks": "int",
    "walk_refs_guest": "int",
    "walk_refs_host": "int",
    "walk_refs_in_l1d": "int",
    "walk_refs_in_l2": "int",
    "walk_refs_in_llc": "int",
    "walk_refs_in_memory": "int",
    "walk_refs_in_memory_remote": "int",
    "walk_refs_in_stacked": "int",
    "walk_lookup_cycles": "int",
    "walk_steps": "int",
    "refs_per_walk": "str",
    "pwc_lookups_guest": "int",
    "pwc_lookups_host": "int",
    "nested_tlb_lookups": "int",
    "pwc_hits_guest": "int",
    "pwc_hits_host": "int",
    "nested_tlb_hits": "int",
    "pom_tlb_lookups": "int",
    "pom_tlb_hits": "int",
    "ad_updates_guest": "int",
    "ad_updates_host": "int",
    "resyncs": "int",
    "segment_escapes": "int",
    "segment_false_positives": "int",
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
    **{f"vm_exits_{reason}": "int" for reason in EXITS},
    "minor_faults": "int",
    "host_minor_faults": "int",
    **{name: "int" for name in FLOWS[4:]},
    "migrations": "int",
    **{name: "float" for name in GAUGES},
    **{name: "float" for name in CYCLES},
    **monitor.COLUMNS,
    "translation_share": "float",
    "slowdown": "float",
}
#: What walks are told apart by, of a whole run alone: what an entry was read for, and its level, root highest.
WALK_PARTS = [f"{row}_l{level}" for row in ("guest", "host", "data", "outer") for level in range(5, 0, -1)]
QUANTILES = (0.5, 0.9, 0.99)
#: Columns that only whole runs have.
WALK_COLUMNS: dict[str, str] = {
    **{f"cycles_per_walk_p{round(100 * quantile)}": "float" for quantile in QUANTILES},
    **{f"walk_refs_{part}": "int" for part in WALK_PARTS},
    **{f"walk_cycles_{part}": "float" for part in WALK_PARTS},
}


def refs_per_walk(histogram: NDArray[np.int64]) -> str:
    """Write a histogram of references a walk as ``24:626043``, most frequent first."""
    used = np.flatnonzero(histogram)
    order = used[np.lexsort((used, -histogram[used]))]
    return " ".join(f"{refs}:{histogram[refs]}" for refs in order)


Columns = dict[str, Any]  #: arrays, or lists of texts, of one length


def over_epochs(name: str, values: NDArray[np.float64], lived: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Make one number of each VM's gauge: the mean of its epochs; what a scanner says at the end; the worst state.

    Parameters
    ----------
    name : str
    values, lived : (vms, epochs)
    """
    if name == "memory_state":
        return np.asarray(values.max(axis=1, initial=0.0))
    if name.startswith("ksm_"):
        last = np.where(lived.any(axis=1), lived.shape[1] - 1 - np.argmax(lived[:, ::-1], axis=1), 0)
        return np.asarray(values[np.arange(values.shape[0]), last]) if values.shape[1] else np.zeros(values.shape[0])
    return np.asarray((values * lived).sum(axis=1) / np.maximum(lived.sum(axis=1), 1))


def rows(counts: Counts, cycles: Counts, baselines: list[Counts]) -> tuple[Columns, Columns]:
    """Make the rows of one point, column by column.

    Parameters
    ----------
    counts : dict of (vms, epochs) int64
        Of all rooms; epoch 0 is the warm-up and is left out.
    cycles : dict of (vms, epochs) float64
    baselines : list of dict of (1, epochs) float64
        Of each VM, its cycles in the set-up that `slowdown` divides by.

    Returns
    -------
    results : dict
        One row a VM.
    epochs : dict
        One row a VM and epoch that it lived through.
    """
    values: Counts = {**counts, **cycles}
    values["migrations"] = np.zeros_like(values["accesses"])
    known = [name for name in COLUMNS if name in values]
    results: Columns = {"vm": np.arange(values["accesses"].shape[0])}
    lived = (values["accesses"][:, 1:] > 0) | (values["resident_pages"][:, 1:] > 0)
    vm, epoch = np.nonzero(lived)
    epochs: Columns = {"vm": vm, "epoch": epoch}
    for name in known:
        part = values[name][:, 1:]
        if name in GAUGES:
            part = part.astype(np.float64)
            results[name] = over_epochs(name, part, lived)
        else:
            results[name] = np.array([each.sum() for each in part])
        epochs[name] = part[vm, epoch]
    counted = {name: each[:, 1:] for name, each in values.items()}
    seen = monitor.watch(counted)
    results |= monitor.rates({name: each.sum(axis=1) for name, each in counted.items()})
    results |= monitor.warned({**counted, **seen}, lived)
    epochs |= {name: each[vm, epoch] for name, each in seen.items()}
    alone = np.array([each["cycles"][0, 1:].sum() for each in baselines])
    with np.errstate(divide="ignore", invalid="ignore"):
        for columns in (results, epochs):
            spent = sum(columns[f"{part}_cycles"] for part in ("tlb", "walk", "exit", "shootdown"))
            columns["translation_share"] = np.where(columns["cycles"] > 0, spent / columns["cycles"], np.nan)
        results["slowdown"] = np.where(alone > 0, results["cycles"] / alone, np.nan)
    return results, epochs


def add_walks(
    results: Columns,
    histogram: NDArray[np.int64],
    levels: NDArray[np.int64],
    level_cycles: NDArray[np.float64],
    latency: NDArray[np.float64],
) -> None:
    """Add what is known of the walks of whole runs.

    Parameters
    ----------
    results : dict
        As `rows` makes it.
    histogram : (vms, refs) int64
        Walks by their number of references.
    levels : (vms, rows, levels, places) int64
        References by what they were read for, level (lowest first) and place.
    level_cycles : (vms, rows, levels) float64
    latency : (vms, quantiles) float64
    """
    results["refs_per_walk"] = [refs_per_walk(each) for each in histogram]
    vms = histogram.shape[0]
    for place, quantile in enumerate(QUANTILES):
        results[f"cycles_per_walk_p{round(100 * quantile)}"] = latency[:, place]
    refs = levels[:, :, ::-1, :4].sum(axis=3).reshape(vms, -1)
    cycles = level_cycles[:, :, ::-1].reshape(vms, -1)
    for place, part in enumerate(WALK_PARTS):
        results[f"walk_refs_{part}"] = refs[:, place]
    for place, part in enumerate(WALK_PARTS):
        results[f"walk_cycles_{part}"] = cycles[:, place]


def as_rows(columns: Columns) -> list[dict[str, Any]]:
    """Rows of columns, as plain Python values."""
    lists = {name: value if isinstance(value, list) else value.tolist() for name, value in columns.items()}
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
