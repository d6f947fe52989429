"""O7: how far each policy's major faults are off the kernel's, trace by trace."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.style import MARKERS, subplots, use
from memvirt.experiments.linux_swap.measure import POLICIES, errors


def draw(frame: pd.DataFrame) -> Any:
    """A line a trace and limit, a mark a policy; grey from the kernel's least count to its most, 5 % at the least."""
    use()
    table = errors(frame)[::-1].reset_index(drop=True)
    figure, axes = subplots(figsize=(6.4, 1.2 + 0.17 * len(table)))
    mean = table["major_faults_mean"]
    low = (100 * (table["major_faults_min"] / mean - 1)).clip(upper=-5)
    high = (100 * (table["major_faults_max"] / mean - 1)).clip(lower=5)
    axes.barh(table.index, high - low, left=low, color="0.88", label="the kernel's runs, or 5 %")
    for number, policy in enumerate(POLICIES):
        if f"{policy}_error" in table:
            axes.plot(table[f"{policy}_error"], table.index, MARKERS[number], color=f"C{number}", markersize=4, label=policy)
    axes.axvline(0, color="black", linewidth=0.6)
    axes.set_yticks(table.index, [f"{trace} {mib}" for trace, mib in zip(table["trace"], table["limit_mib"], strict=True)])
    axes.tick_params(axis="y", labelsize="x-small")
    axes.set_ylim(-0.7, len(table) - 0.3)
    axes.set_xlabel("major faults against the kernel's mean (%)")
    figure.legend(loc="outside upper center", ncols=4, fontsize="small")
    return figure
