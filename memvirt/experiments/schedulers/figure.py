"""Slowdown under each scheduler, where memory is skewed and where it isn't."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.style import subplots, use
from memvirt.experiments.schedulers.measure import PLACEMENTS, PROGRAMS, times

TITLES = {"first_touch": "each VM's memory on one node", "interleave": "half of it on each node"}


def draw(frame: pd.DataFrame) -> Any:
    """Bars in pairs, a panel a placement."""
    use()
    found = times(frame)
    figure, panels = subplots(1, 2, figsize=(8.4, 3.4), sharey=True)
    for axes, placement in zip(panels, PLACEMENTS, strict=True):
        for shift, scheduler, colour in ((-0.2, "naive", "0.75"), (0.2, "numa_aware", "C0")):
            programs = [program for program in PROGRAMS if (program, placement, scheduler) in found.index]
            heights = [float(found[program, placement, scheduler]) for program in programs]
            where = [PROGRAMS.index(program) + shift for program in programs]
            bars = axes.bar(where, heights, 0.4, label=scheduler, color=colour, edgecolor="black", linewidth=0.6)
            axes.bar_label(bars, fmt="%.3g", fontsize="x-small", padding=1)
        axes.set(title=TITLES[placement], xticks=range(len(PROGRAMS)), xlabel="program")
        axes.set_xticklabels(PROGRAMS)
        axes.margins(y=0.12)
    panels[0].set_ylabel("slowdown (mean of four VMs)")
    panels[1].legend(title="numa.scheduler", loc="upper left", fontsize="small")
    return figure
