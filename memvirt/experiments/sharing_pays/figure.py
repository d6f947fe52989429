"""Throughput of a host that shares beside one that swaps, over what is common."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.style import DASHES, MARKERS, subplots, use
from memvirt.experiments.sharing_pays.measure import throughput


def draw(frame: pd.DataFrame) -> Any:
    """A panel a share of pages that are written, a line a way to take memory back."""
    use()
    found = throughput(frame)
    shares = sorted(set(found.index.get_level_values("workload.written")))
    figure, grid = subplots(1, len(shares), figsize=(4.2 * len(shares), 3.4), sharey=True, squeeze=False)
    for axes, written in zip(grid[0], shares, strict=True):
        rows = found.xs(written, level="workload.written")
        for place, how in enumerate(found.columns):
            look: Any = {"marker": MARKERS[place], "dashes": DASHES[place], "color": f"C{place}", "markersize": 6}
            axes.plot(
                rows.index,
                rows[how],
                label={"swap": "swap of the coldest page", "sharing": "sharing, then the same"}.get(how, how),
                **look,
            )
        axes.set(title=f"{written:.0%} of pages are written", xlabel="share of pages that VMs have in common", ylim=(0, 1.05))
    grid[0][0].set_ylabel("throughput (1: not overcommitted)")
    figure.legend(*grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
