"""T8: what nested paging takes beyond shadow paging, over the rate of guest page faults."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.style import DASHES, MARKERS, subplots, use
from memvirt.experiments.shadow_or_nested.measure import FAULTS, GAP, MISSES, crossover, table


def draw(frame: pd.DataFrame) -> Any:
    """A line a program, above zero where shadow paging wins, with where each crosses."""
    use()
    figure, axes = subplots(figsize=(6, 3.6))
    axes.axhline(0, color="0.4", linewidth=1)
    for number, (program, rows) in enumerate(table(frame).groupby("workload")):
        label = f"{program} ({rows[MISSES].mean():.2g} TLB misses)"
        (line,) = axes.plot(rows[FAULTS], rows[GAP], marker=MARKERS[number], dashes=DASHES[number], label=label)
        even = crossover(rows)
        if even == even:
            axes.plot([even], [0], marker="|", markersize=12, color=line.get_color())
            axes.annotate(
                f"{even:.2g}", (even, 0), xytext=(3, 4), textcoords="offset points", fontsize="small", color=line.get_color()
            )
    axes.set(xscale="log", xlabel=FAULTS, ylabel=GAP)
    axes.legend(title="program (per 1000 instructions)", fontsize="small", loc="upper left", bbox_to_anchor=(0.02, 0.88))
    return figure
