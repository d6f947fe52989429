"""What papers print, worked out of counters and cycles: misses a thousand instructions, means of a walk, slowdowns of epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memvirt.counters import Column
from memvirt.result.monitor import ratio

Counts = dict[str, NDArray[Any]]

TLB_LEVELS = ("l1", "l2")
EPOCH_QUANTILES = (0.5, 0.99)
COLUMNS = (
    Column("{}_tlb_mpki", "misses/1000 instructions", doc="misses of a level of TLBs", over=TLB_LEVELS),
    Column("refs_per_walk_mean", "references/walk", doc="`walk_refs_guest` and `walk_refs_host` ÷ `walks`"),
    Column(
        "cycles_per_walk_mean", "cycles/walk", doc="`walk_pending_cycles` ÷ `walks`: as CPUs count, walk_pending ÷ walk_completed"
    ),
    Column("walk_pending_cycles_per_access", "cycles/access", doc="what walks take, one after the other"),
    Column("walk_cycles_per_access", "cycles/access", doc="of walks, what the program waits for"),
    Column("overhead", "%", doc="100 × (`slowdown` − 1)"),
    Column(
        "epoch_slowdown_p{}",
        "ratio",
        doc="quantile over the epochs of their `slowdown`",
        over=tuple(f"{100 * each:g}" for each in EPOCH_QUANTILES),
        tables=("results",),
    ),
)


def of_counts(values: Counts) -> Counts:
    """The `COLUMNS` that are a quotient of two sums; NaN where there is nothing to divide by.

    Parameters
    ----------
    values : dict of arrays of one shape
        Counters and cycles, of epochs or of whole runs; ``slowdown`` among them.
    """
    walks, accesses = values["walks"], values["accesses"]
    found = {f"{level}_tlb_mpki": 1000 * ratio(values[f"{level}_tlb_misses"], values["instructions"]) for level in TLB_LEVELS}
    return found | {
        "refs_per_walk_mean": ratio(values["walk_refs_guest"] + values["walk_refs_host"], walks),
        "cycles_per_walk_mean": ratio(values["walk_pending_cycles"], walks),
        "walk_pending_cycles_per_access": ratio(values["walk_pending_cycles"], accesses),
        "walk_cycles_per_access": ratio(values["walk_cycles"], accesses),
        "overhead": 100 * (values["slowdown"] - 1),
    }


def epoch_slowdowns(own: Counts, baselines: Sequence[Counts]) -> NDArray[np.float64]:
    """Slowdown of each epoch: its cycles to those that the baseline spends on the same instructions.

    Epochs of the baseline needn't end where the VM's do (``epoch.time``): between their ends, its cycles are interpolated over its
    instructions. What these cost is a price times their number, so ``base_cycles`` count them.

    Parameters
    ----------
    own : dict of (vms, epochs) float64
        ``cycles`` and ``base_cycles``, without the warm-up.
    baselines : sequence of dict of (1, epochs) float64
        The same of each VM's baseline.

    Returns
    -------
    (vms, epochs) float64
        NaN where an epoch has no instructions, or they have no price.
    """
    found = np.full(own["cycles"].shape, np.nan)
    for vm, alone in enumerate(baselines):
        done, spent = (np.concatenate([[0.0], alone[name][0].cumsum()]) for name in ("base_cycles", "cycles"))
        ends = np.concatenate([[0.0], own["base_cycles"][vm].cumsum()])
        instructions = np.diff(ends) > 0
        found[vm] = np.where(instructions, ratio(own["cycles"][vm], np.diff(np.interp(ends, done, spent))), np.nan)
    return found


def quantiles(slowdowns: NDArray[np.float64]) -> Counts:
    """The `COLUMNS` that are quantiles over a VM's epochs; NaN for a VM without any."""
    known = [each[~np.isnan(each)] for each in slowdowns]
    return {
        f"epoch_slowdown_p{100 * share:g}": np.array([np.quantile(each, share) if each.size else np.nan for each in known])
        for share in EPOCH_QUANTILES
    }
