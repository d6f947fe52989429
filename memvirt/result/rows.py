"""From counts and cycles to tidy rows: one a VM, and one a VM and epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from memvirt.cost import COLUMNS as PRICED
from memvirt.counters import Column, Counter, every
from memvirt.result import derived, monitor
from memvirt.result.join import COLUMNS as OF_LIVES
from memvirt.types import READ_KINDS

Counts = dict[str, NDArray[Any]]
LEADING = ("accesses", "instructions", "cycles", "slowdown")  #: columns that come first
COUNTING = ("memory", "tlb", "mmu")  #: rooms that count, in the tables' order

#: What walks are told apart by, of a whole run alone: what an entry was read for, and its level, root highest.
WALK_PARTS = tuple(f"{row}_l{level}" for row in ("guest", "host", "data", "outer") for level in range(5, 0, -1))
QUANTILES = (0.5, 0.9, 0.99)
EPOCH_QUANTILES = {"p50": 0.5, "p99": 0.99}
PEAK = 10  #: epochs in a row of which the worst are looked for
#: What is known of the walks of whole runs.
WALK_COLUMNS = (
    Column(
        "refs_per_walk",
        "walks",
        doc="by their number of references, most frequent first: `24:626043 …`",
        kind="str",
        tables=("results",),
    ),
    Column("cycles_per_walk_p{}", "cycles", doc="quantile of what a walk takes", over=("50", "90", "99"), tables=("results",)),
    Column(
        "walk_refs_{}",
        "references",
        doc="of walks, by what was read (`guest` tables, `host` entries on the way to those, or to the `data`, "
        "`outer` ones below a guest hypervisor) and level, the lowest 1",
        kind="int",
        over=WALK_PARTS,
        tables=("results",),
    ),
    Column("walk_cycles_{}", "cycles", doc="of those, one after the other", over=WALK_PARTS, tables=("results",)),
)
TRAFFIC_COLUMNS = (
    Column(
        "node_traffic_{}",
        "references",
        doc="to memory by node of CPU and of memory, where there are several: `0>1:626043 …`",
        kind="str",
        over=READ_KINDS,
        tables=("results",),
    ),
    Column(
        "node_loads",
        "share",
        doc="of its bandwidth that each node's memory gives to all VMs and others (`0>0`), and each link from a node's CPUs "
        "to a node's memory: `0>0:0.430 0>1:0.210` (`numa.bandwidths`)",
        kind="str",
        tables=("results",),
    ),
)
#: What is worked out here.
COLUMNS = (
    Column("migrations", "pages", doc="of data and tables, moved between NUMA nodes (`migrated_pages_*`)", kind="int"),
    Column("translation_share", "share", doc="of the cycles: TLB look-ups, walks, VM exits, invalidating translations"),
    Column(
        "slowdown",
        "ratio",
        doc="the VM's cycles to those of its accesses alone on `native`, everything mapped, without faults",
    ),
    Column(
        "slowdown_{}",
        "ratio",
        doc="of the epochs: the median, what 99 of 100 don't exceed, and the worst of any ten epochs in a row",
        over=("p50", "p99", "peak"),
        tables=("results",),
    ),
    *OF_LIVES,
)


def counters() -> tuple[Counter, ...]:
    """Every counter that a result can have, those of policies among them, in the tables' order."""
    return tuple(counter for room in COUNTING for counter in every(room))


def columns(table: str) -> tuple[Counter | Column, ...]:
    """Every measured column of a table, in its order.

    Parameters
    ----------
    table : {'results', 'epochs'}
    """
    parts: Sequence[Counter | Column] = (
        *counters(),
        *COLUMNS,
        *derived.COLUMNS,
        *PRICED,
        *monitor.COLUMNS,
        *WALK_COLUMNS,
        *TRAFFIC_COLUMNS,
    )
    parts = sorted(parts, key=lambda each: LEADING.index(each.name) if each.name in LEADING else len(LEADING))
    return tuple(each for each in parts if isinstance(each, Counter) or table in each.tables)


def refs_per_walk(histogram: NDArray[np.int64]) -> str:
    """Write a histogram of references a walk as ``24:626043``, most frequent first."""
    used = np.flatnonzero(histogram)
    order = used[np.lexsort((used, -histogram[used]))]
    return " ".join(f"{refs}:{histogram[refs]}" for refs in order)


Columns = dict[str, Any]  #: arrays, or lists of texts, of one length


def over_epochs(how: str, values: NDArray[Any], lived: NDArray[np.bool_]) -> NDArray[Any]:
    """Make one number of each VM's epochs, as a counter says.

    Parameters
    ----------
    how : {'sum', 'mean', 'last', 'max'}
        Of all epochs, but of the mean and the last: of those that the VM lived through.
    values, lived : (vms, epochs)
    """
    if how == "sum":
        return np.array([each.sum() for each in values])
    values = values.astype(np.float64)
    if how == "max":
        return np.asarray(values.max(axis=1, initial=0.0))
    if how == "last":
        last = np.where(lived.any(axis=1), lived.shape[1] - 1 - np.argmax(lived[:, ::-1], axis=1), 0)
        return np.asarray(values[np.arange(values.shape[0]), last]) if values.shape[1] else np.zeros(values.shape[0])
    return np.asarray((values * lived).sum(axis=1) / np.maximum(lived.sum(axis=1), 1))


def rows(counts: Counts, how: Mapping[str, str], cycles: Counts, baseline: NDArray[np.float64]) -> tuple[Columns, Columns]:
    """Make the rows of one point, column by column.

    Parameters
    ----------
    counts : dict of (vms, epochs) int64
        Of all rooms; epoch 0 is the warm-up and is left out.
    how : dict of str
        Of each, what makes a run of its epochs (`memvirt.counters.OVER_EPOCHS`).
    cycles : dict of (vms, epochs) float64
    baseline : (vms, epochs) float64
        Cycles of each VM in the set-up that `slowdown` divides by, epoch by epoch as they are counted.

    Returns
    -------
    results : dict
        One row a VM.
    epochs : dict
        One row a VM and epoch that it lived through.
    """
    values: Counts = {**counts, **cycles}
    moved = [each for name, each in values.items() if name.startswith("migrated_pages_")]
    values["migrations"] = np.sum([np.zeros_like(values["accesses"]), *moved], axis=0)
    how = {**how, **dict.fromkeys(["migrations", *cycles], "sum")}
    results: Columns = {"vm": np.arange(values["accesses"].shape[0])}
    lived = (values["accesses"][:, 1:] > 0) | (values["resident_pages"][:, 1:] > 0)
    vm, epoch = np.nonzero(lived)
    epochs: Columns = {"vm": vm, "epoch": epoch}
    for name, each in values.items():
        part = each[:, 1:]
        results[name] = over_epochs(how[name], part, lived)
        epochs[name] = part[vm, epoch] if how[name] == "sum" else part[vm, epoch].astype(np.float64)
    counted = {name: each[:, 1:] for name, each in values.items()}
    seen = monitor.watch(counted)
    results |= monitor.rates({name: each.sum(axis=1) for name, each in counted.items()})
    results |= monitor.warned({**counted, **seen}, lived)
    epochs |= {name: each[vm, epoch] for name, each in seen.items()}
    alone = np.array([each.sum() for each in baseline[:, 1:]])
    with np.errstate(divide="ignore", invalid="ignore"):
        for columns in (results, epochs):
            spent = sum(columns[f"{part}_cycles"] for part in ("tlb", "walk", "exit", "shootdown"))
            columns["translation_share"] = np.where(columns["cycles"] > 0, spent / columns["cycles"], np.nan)
        results["slowdown"] = np.where(alone > 0, results["cycles"] / alone, np.nan)
    found, quantiles = slowdowns(cycles["cycles"][:, 1:], baseline[:, 1:])
    epochs["slowdown"] = found[vm, epoch]
    results |= quantiles
    if "visits" in counts:
        results["baseline_cycles"], epochs["baseline_cycles"] = alone, baseline[vm, epoch + 1]
    for columns in (results, epochs):
        columns |= derived.of_counts(columns)
    return results, epochs


def slowdowns(cycles: NDArray[np.float64], baseline: NDArray[np.float64]) -> tuple[NDArray[np.float64], Columns]:
    """Slowdown of each epoch, and what is known of those of each VM.

    Parameters
    ----------
    cycles, baseline : (vms, epochs) float64

    Returns
    -------
    by_epoch : (vms, epochs) float64
        NaN where there was nothing to do; infinite where the VM did nothing but wait.
    known : dict of (vms,) float64
        Quantiles of these, and of the worst of each `PEAK` epochs in a row.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        by_epoch = np.where((baseline > 0) | (cycles > 0), cycles / baseline, np.nan)
        span = min(PEAK, cycles.shape[1])
        spent, alone = (sliding_window_view(each, span, axis=1).sum(axis=2) for each in (cycles, baseline))
        in_a_row = np.where((alone > 0) | (spent > 0), spent / alone, np.nan)
    known: Columns = {}
    for name, quantile in EPOCH_QUANTILES.items():
        known[f"slowdown_{name}"] = np.array([at_quantile(each, quantile) for each in by_epoch])
    known["slowdown_peak"] = np.array([at_quantile(each, 1.0) for each in in_a_row])
    return by_epoch, known


def at_quantile(values: NDArray[np.float64], quantile: float) -> float:
    """The least of some values that so many of them don't exceed; NaN ones left out."""
    there = np.sort(values[~np.isnan(values)])
    return float(there[max(int(np.ceil(quantile * there.size)), 1) - 1]) if there.size else np.nan


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


def node_traffic(pairs: NDArray[np.int64]) -> str:
    """Write references by node of CPU and of memory, (nodes, nodes), as ``0>1:626043``."""
    return " ".join(f"{cpu}>{memory}:{pairs[cpu, memory]}" for cpu, memory in np.argwhere(pairs))


def add_traffic(results: Columns, traffic: NDArray[np.int64]) -> None:
    """Add the references to memory of whole runs by node pair.

    Parameters
    ----------
    results : dict
        As `rows` makes it.
    traffic : (vms, epochs, kinds, nodes, nodes) int64
        Epoch 0 is the warm-up; of size 0 where there is one node.
    """
    vms = len(results["accesses"])
    counted = traffic[:, 1:].sum(axis=1) if traffic.size else np.zeros((vms, len(READ_KINDS), 0, 0), np.int64)
    for kind, name in enumerate(READ_KINDS):
        results[f"node_traffic_{name}"] = [node_traffic(each) for each in counted[:, kind]]


def add_loads(results: Columns, loads: NDArray[np.float64]) -> None:
    """Add the loads of memory and links, at the mean of the epochs.

    Parameters
    ----------
    results : dict
        As `rows` makes it.
    loads : (epochs, nodes, nodes) float64
        Epoch 0 is the warm-up.
    """
    mean = loads[1:].mean(axis=0)
    text = " ".join(f"{node}>{home}:{mean[node, home]:.3f}" for node, home in np.argwhere(mean))
    results["node_loads"] = [text] * len(results["accesses"])


def as_rows(columns: Columns) -> list[dict[str, Any]]:
    """Rows of columns, as plain Python values."""
    lists = {name: value if isinstance(value, list) else value.tolist() for name, value in columns.items()}
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
