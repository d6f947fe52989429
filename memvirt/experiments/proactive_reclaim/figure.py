"""What is cold, stored and taken over two hours, beside what was published."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.style import subplots, use
from memvirt.experiments.proactive_reclaim.measure import over_time

LINES = {
    "cold_age": {"cold": "cold, of what VMs hold", "stored": "stored, of what is cold"},
    "senpai": {"taken": "taken, of what VMs hold"},
}
TITLES = {"cold_age": "by cold age, to zswap", "senpai": "by pressure, to an SSD"}
PUBLISHED = {"cold": (0.32, 0.32), "stored": (0.2, 0.2), "taken": (0.2, 0.32)}


def draw(frame: pd.DataFrame) -> Any:
    """A panel a policy."""
    use()
    found = over_time(frame)
    policies = [policy for policy in LINES if (found["reclaim"] == policy).any()] or list(LINES)
    figure, grid = subplots(1, len(policies), figsize=(4.4 * len(policies), 3.4), sharey=True, squeeze=False)
    for axes, policy in zip(grid[0], policies, strict=True):
        mine = found[found["reclaim"] == policy]
        for place, (name, said) in enumerate(LINES[policy].items()):
            axes.plot(mine["epoch"], mine[name], color=f"C{place}", label=said)
            low, high = PUBLISHED[name]
            axes.axhspan(low - 0.002, high + 0.002, color=f"C{place}", alpha=0.2, label=f"published: {said.split(',')[0]}")
        axes.set(title=TITLES[policy], xlabel="minutes", ylim=(0, 1))
        axes.legend(loc="upper right", fontsize="small")
    grid[0][0].set_ylabel("share")
    return figure
