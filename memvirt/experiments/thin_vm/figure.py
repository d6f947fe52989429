"""A thin VM that is moved: local share of each kind of memory, and run time, over time."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.style import DASHES, subplots, use
from memvirt.experiments.thin_vm.measure import MOVED, timelines

PUBLISHED = (3.05, 2.10, 0.98)  #: both tables remote with interference, the EPT alone, both migrated; data local


def draw(frame: pd.DataFrame) -> Any:
    """A panel of local shares for each design that moves anything, and one of run times with the published end points."""
    use()
    found = timelines(frame)
    figure, grid = subplots(2, 2, figsize=(9.5, 6.2), squeeze=False)
    panels = list(grid.flat)
    moving = [name for name, rows in found.items() if rows["data"].iloc[-1] > 0.5 or len(found) == 1][:3]
    for axes, name in zip(panels, moving, strict=False):
        for place, kind in enumerate(("data", "guest's tables", "EPT")):
            axes.plot(found[name].index, found[name][kind], label=kind, color=f"C{place}", dashes=DASHES[place])
        axes.axvline(MOVED, color="0.4", linewidth=1)
        axes.set(title=name, xlabel="time (s)", ylabel="local share of accesses", ylim=(-0.03, 1.03))
        axes.legend(fontsize="small", loc="lower left")
    axes = panels[-1]
    for place, (name, rows) in enumerate(found.items()):
        axes.plot(rows.index, rows["run time"], label=name, color=f"C{place}", dashes=DASHES[place])
    for value in PUBLISHED:
        axes.axhline(value, color="0.6", linewidth=1, linestyle=":")
        axes.annotate(
            f"published {value:.2f}", (5, value), xytext=(0, 2), textcoords="offset points", fontsize="x-small", color="0.35"
        )
    axes.axvline(MOVED, color="0.4", linewidth=1)
    ticks = [1, 2, 3, 5, 10, 20]
    axes.set(xlabel="time (s)", ylabel="run time (all local: 1)", title="what it costs", yscale="log", ylim=(0.8, 25))
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.legend(fontsize="x-small", loc="upper left")
    for spare in panels[len(moving) : -1]:
        spare.set_visible(False)
    return figure
