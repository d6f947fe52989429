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
COLUMNS = (
    Column("{}_tlb_mpki", "misses/1000 instructions", doc="misses of a level of TLBs", over=TLB_LEVELS),
    Column("refs_per_walk_mean", "references/walk", doc="`walk_refs_guest` and `walk_refs_host` ÷ `walks`"),
    Column(
        "cycles_per_walk_mean", "cycles/walk", doc="`walk_pending_cycles` ÷ `walks`: as CPUs count, walk_pending ÷ walk_completed"
    ),
    Column("walk_pending_cycles_per_access", "cycles/access", doc="what walks take, one after the other"),
    Column("walk_cycles_per_access", "cycles/access", doc="of walks, what the program waits for"),
    Column("overhead", "%", doc="100 × (`slowdown` − 1)"),
)


#: Each column that is a quotient: by how much, of the sum of which, and to which.
QUOTIENTS = {f"{level}_tlb_mpki": (1000.0, (f"{level}_tlb_misses",), "instructions") for level in TLB_LEVELS} | {
    "refs_per_walk_mean": (1.0, ("walk_refs_guest", "walk_refs_host"), "walks"),
    "cycles_per_walk_mean": (1.0, ("walk_pending_cycles",), "walks"),
    "walk_pending_cycles_per_access": (1.0, ("walk_pending_cycles",), "accesses"),
    "walk_cycles_per_access": (1.0, ("walk_cycles",), "accesses"),
}


def of_counts(values: Counts) -> Counts:
    """The `COLUMNS` whose counters there are; NaN where there is nothing to divide by.

    Parameters
    ----------
    values : dict of arrays of one shape
        Counters and cycles, of epochs or of whole runs; ``slowdown`` among them. A page life without a detail has no walks.
    """
    found = {
        name: factor * ratio(sum(values[part] for part in parts), values[whole])  # type: ignore[arg-type]
        for name, (factor, parts, whole) in QUOTIENTS.items()
        if {*parts, whole} <= set(values)
    }
    return found | {"overhead": 100 * (values["slowdown"] - 1)}


def baseline_by_epoch(own: NDArray[np.float64], baselines: Sequence[Counts]) -> NDArray[np.float64]:
    """Cycles that the baseline spends on the instructions of each epoch; the sum over epochs is that of the baseline.

    Epochs of the baseline needn't end where the VM's do (``epoch.time``): between their ends, its cycles are interpolated over its
    instructions. What these cost is a price times their number, so ``base_cycles`` count them; if they cost nothing, all is the
    first counted epoch's.

    Parameters
    ----------
    own : (vms, epochs) float64
        ``base_cycles`` of the VMs; epoch 0 is the warm-up.
    baselines : sequence of dict of (1, epochs) float64
        ``base_cycles`` and ``cycles`` of each VM's baseline.

    Returns
    -------
    (vms, epochs) float64
        0 in the warm-up.
    """
    found = np.zeros(own.shape)
    for vm, alone in enumerate(baselines):
        base, spent = alone["base_cycles"][0, 1:], alone["cycles"][0, 1:]
        if np.array_equal(base, own[vm, 1:]):
            found[vm, 1:] = spent
        elif base.any():
            done, total = (np.concatenate([[0.0], each.cumsum()]) for each in (base, spent))
            found[vm, 1:] = np.diff(np.interp(np.concatenate([[0.0], own[vm, 1:].cumsum()]), done, total))
        else:
            found[vm, 1:2] = spent.sum()
    return found
