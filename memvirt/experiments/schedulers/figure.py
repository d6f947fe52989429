"""Slowdown under each scheduler, where memory is skewed and where it isn't."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.style import subplots, use
from memvirt.experiments.schedulers.measure import PLACEMENTS, PROGRAMS, slowdowns

TITLES = {"first_touch": "each VM's memory on one node", "interleave": "half of it on each node"}


def draw(frame: pd.DataFrame) -> Any:
    """Bars in pairs, a panel a placement; of the four VMs often one alone is moved, so the least and the most are drawn too."""
    use()
    found = slowdowns(frame)
    figure, panels = subplots(1, 2, figsize=(11, 4), sharey=True)
    for axes, placement in zip(panels, PLACEMENTS, strict=True):
        for shift, scheduler, colour, ink in ((-0.2, "naive", "0.75", "black"), (0.2, "numa_aware", "C0", "white")):
            programs = [program for program in PROGRAMS if (program, placement, scheduler) in found.index]
            rows = found.loc[[(program, placement, scheduler) for program in programs]]
            where = [PROGRAMS.index(program) + shift for program in programs]
            spread = [rows["mean"] - rows["min"], rows["max"] - rows["mean"]]
            bars = axes.bar(
                where, rows["mean"], 0.4, yerr=spread, label=scheduler, color=colour, edgecolor="black", linewidth=0.6, capsize=2
            )
            axes.bar_label(bars, fmt="%.2f", fontsize="x-small", label_type="center", color=ink, rotation=90)
        axes.set(title=TITLES[placement], xticks=range(len(PROGRAMS)), xlabel="program")
        axes.set_xticklabels(PROGRAMS, rotation=30, ha="right")
        axes.margins(y=0.12)
    panels[0].set_ylabel("slowdown (mean of four VMs;\nwhiskers: least to most)")
    panels[1].legend(title="numa.scheduler", loc="upper left", fontsize="small")
    return figure
