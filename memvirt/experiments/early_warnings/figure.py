"""Leads of signals, a panel a ramp."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.style import subplots, use
from memvirt.experiments.early_warnings.measure import RAMPS, WATCHED, watch


def draw(frame: pd.DataFrame) -> Any:
    """A row a signal, a mark a run; beside each how many runs it didn't warn of, and how often it warned of nothing."""
    use()
    seen = watch(frame)
    names = list(WATCHED)
    figure, grid = subplots(1, len(RAMPS), figsize=(9.6, 3.4), sharey=True, squeeze=False)
    for axes, ramp in zip(grid[0], RAMPS.values(), strict=True):
        leads, calm = (each[each["ramp"] == ramp] for each in (seen.leads, seen.calm))
        for place, name in enumerate(names):
            mine = leads.loc[leads["signal"] == name, "lead"].dropna()
            spread = [place + 0.12 * (number - 2) for number in range(mine.size)]
            axes.plot(mine, spread, linestyle="", marker="o", markersize=4, color=f"C{place}", alpha=0.8)
            missed = int((leads["signal"] == name).sum() - mine.size)
            false = calm.loc[calm["signal"] == name, "warned"]
            said = f"false {int(false.sum())}/{false.size}" + (f", late {missed}/{missed + mine.size}" if missed else "")
            axes.annotate(said, (1.0, place), xycoords=("axes fraction", "data"), ha="right", va="center", fontsize="x-small")
        longest = float(leads["lead"].max()) if leads["lead"].notna().any() else 1.0
        axes.set(title=f"memory grows {ramp if ramp == 'at once' else 'over ' + ramp}", xlim=(0, longest * 1.75))
        axes.set(xlabel="seconds ahead of thrashing", yticks=range(len(names)), yticklabels=names)
    grid[0][0].invert_yaxis()
    return figure
