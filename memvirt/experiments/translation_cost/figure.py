"""The cost of translation for every mode: over the footprint, 4K and 2M, synthetic and recorded."""

from __future__ import annotations

from typing import Any

import pandas as pd
import seaborn as sns

from memvirt.config import parse_size
from memvirt.drawing.style import DASHES, MARKERS, ordered, subplots, use
from memvirt.experiments.translation_cost.measure import COST, costs

SYNTHETIC = ("uniform", "zipf")


def draw(frame: pd.DataFrame) -> Any:
    """Lines over the footprint for synthetic programs, bars for recorded ones; a column a page size."""
    use()
    frame = frame.assign(**{COST: costs(frame), "MiB": frame["workload.footprint"].map(lambda text: parse_size(text) >> 20)})
    sizes, modes = ordered(frame["guest.page_size"]), ordered(frame["mmu"])
    colours = dict(zip(modes, sns.color_palette("husl", len(modes)), strict=True))
    marks = {mode: (MARKERS[place % len(MARKERS)], DASHES[place % len(DASHES)]) for place, mode in enumerate(modes)}
    programs = [name for name in SYNTHETIC if name in set(frame["workload"])]
    recorded = [name for name in ordered(frame["workload"]) if name not in SYNTHETIC]
    rows = len(programs) + bool(recorded)
    figure, grid = subplots(rows, len(sizes), figsize=(5.2 * len(sizes), 3.0 * rows), squeeze=False, sharey="row")
    for column, size in enumerate(sizes):
        part = frame[frame["guest.page_size"] == size]
        for row, program in enumerate(programs):
            axes = grid[row][column]
            for mode in modes:
                mine = part[(part["workload"] == program) & (part["mmu"] == mode)].sort_values("MiB")
                marker, dashes = marks[mode]
                axes.plot(mine["MiB"], mine[COST], marker=marker, dashes=dashes, color=colours[mode], label=mode, markersize=4)
            axes.set(xscale="log", yscale="symlog", title=f"{program}, {size} pages", xlabel="footprint (MiB)")
            axes.set_yscale("symlog", linthresh=1)
            axes.set_ylim(bottom=0)
        if recorded:
            axes = grid[-1][column]
            chosen = part[part["workload"].isin(recorded)]
            sns.barplot(
                chosen,
                x="workload",
                y=COST,
                hue="mmu",
                hue_order=modes,
                palette=colours,
                ax=axes,
                legend=False,
                edgecolor="black",
                linewidth=0.4,
            )
            axes.set(title=f"recorded programs, {size} pages", xlabel="")
            axes.set_yscale("symlog", linthresh=0.1)
    for row_axes in grid:
        row_axes[0].set_ylabel(COST)
    handles, names = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, names, title="MMU mode", loc="outside right upper")
    return figure
