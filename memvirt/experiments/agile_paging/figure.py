"""T9: cycles of the three modes by program."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.experiments.agile_paging.measure import PROGRAM, table
from memvirt.figures import draw as draw_kind

TOP = 2.0  #: of the axis


def draw(frame: pd.DataFrame) -> Any:
    """Bars by program and rate of updates, over the better of shadow and nested, cut at twice that (shadow passes it on sqlite)."""
    cycles = table(frame).reset_index()
    rate = cycles[PROGRAM[1]].map({0: "never", 50: "1 in 50", 1000: "1 in 1000"})
    where = cycles[PROGRAM[2]].map(lambda share: "anywhere" if share == 1 else "in 2 %")
    cycles["page-table writes an access"] = rate.where(cycles[PROGRAM[1]] == 0, rate + ",\n" + where)
    cycles = cycles.drop_duplicates(["workload", "page-table writes an access"])
    for mode in ("shadow", "nested", "agile"):
        cycles[mode] = cycles[mode] / cycles["better"]
    ratio = "cycles over the better\nof shadow and nested"
    long = cycles.melt(["workload", "page-table writes an access"], ["shadow", "nested", "agile"], "MMU mode", ratio)
    figure = draw_kind(long, "bar", "page-table writes an access", ratio, "MMU mode", "workload")
    for axes in figure.axes:
        axes.set_ylim(0, TOP)
        for bar in axes.patches:
            if bar.get_height() > TOP:  # cut, so its height is written
                place = (bar.get_x() + bar.get_width() / 2, TOP)
                axes.annotate(f"{bar.get_height():.3g}", place, ha="center", va="top", fontsize="small", color="white", rotation=90)
        axes.axhline(1, color="0.4", linewidth=1)
    return figure
