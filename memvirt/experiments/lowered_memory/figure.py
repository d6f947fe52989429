"""O9, O10: throughput of one VM over the host's memory."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.style import DASHES, MARKERS, subplots, use
from memvirt.experiments.lowered_memory.measure import throughput


def draw(frame: pd.DataFrame) -> Any:
    """A line a way to take memory back; memory goes down to the right."""
    use()
    found = throughput(frame)
    figure, axes = subplots(figsize=(5.6, 3.6))
    for place, name in enumerate(found):
        look: Any = {"marker": MARKERS[place], "dashes": DASHES[place], "color": f"C{place}", "markersize": 5}
        axes.plot(found.index, found[name], label=name, **look)
    axes.axhspan(0.98, 1.0, color="0.9", zorder=0)
    where: Any = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "bottom"}
    axes.annotate("flat within 2 %", (0.99, 1.002), fontsize="small", color="0.35", **where)
    axes.set(xlabel="memory of the host (GiB)", ylabel="throughput (8 GiB: 1)", xticks=list(found.index))
    axes.set_ylim(bottom=0)
    axes.invert_xaxis()
    axes.legend(title="memory is taken back by")
    return figure
