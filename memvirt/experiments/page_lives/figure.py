"""What page lives touch, over how long one looks."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.style import DASHES, MARKERS, subplots, use
from memvirt.experiments.page_lives.measure import touched

IDLE_MOST, OFF_PEAK = 0.1, 0.25  #: what sources say: below a tenth (Bila et al.); 2 of 8 GB


def draw(frame: pd.DataFrame) -> Any:
    """A line a life, over the window."""
    use()
    found = touched(frame)
    minutes = [float(window) / 60 for window in found.columns]
    figure, axes = subplots(figsize=(6.4, 3.8))
    for place, (name, row) in enumerate(found.iterrows()):
        look: Any = {
            "marker": MARKERS[place % len(MARKERS)],
            "dashes": DASHES[place % len(DASHES)],
            "color": f"C{place}",
            "markersize": 5,
        }
        axes.plot(minutes, row, label=str(name), **look)
    axes.axhspan(0, IDLE_MOST, color="0.9", zorder=0)
    where: Any = {"xycoords": ("axes fraction", "data"), "ha": "right", "fontsize": "small", "color": "0.35"}
    axes.annotate("idle desktops (Bila et al.)", (0.99, 0.095), va="top", **where)
    axes.axhline(OFF_PEAK, color="0.6", linewidth=1, linestyle=":")
    axes.annotate("2 of 8 GB", (0.99, OFF_PEAK), va="bottom", **where)
    axes.set(xscale="log", xlabel="window (minutes)", ylabel="touched within it (share of the memory)", ylim=(0, 1))
    axes.set_xticks(minutes, [f"{each:g}" for each in minutes])
    figure.legend(loc="outside right upper")
    return figure
