"""Memory of an idle and an active VM over time, without and with a tax on idle memory."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.style import subplots, use
from memvirt.experiments.idle_memory_tax.measure import ACTIVE, IDLE, over_time

EPOCH_MIN, SWITCHED_MIN, GIB = 0.5, 20.0, 1 / (1 << 18)


def draw(frame: pd.DataFrame) -> Any:
    """A panel a tax rate; lines for what both hold and for what the host estimates the active one to use."""
    use()
    epochs = over_time(frame)
    taxes = sorted(epochs["reclaim.tax"].unique())
    figure, grid = subplots(1, len(taxes), figsize=(4.2 * len(taxes), 3.3), sharey=True, squeeze=False)
    for axes, tax in zip(grid[0], taxes, strict=True):
        for vm, name, dashes in ((IDLE, "idle VM", (1, 0)), (ACTIVE, "active VM", (4, 1.5))):
            rows = epochs[(epochs["reclaim.tax"] == tax) & (epochs["vm"] == vm)].sort_values("epoch")
            time = (rows["epoch"] + 1) * EPOCH_MIN
            axes.plot(time, rows["resident_pages"] * GIB, dashes=dashes, color=f"C{vm}", label=name)
            axes.plot(
                time,
                rows["active_estimate"] * GIB,
                color=f"C{vm}",
                linewidth=1.6,
                alpha=0.6,
                dashes=(1, 1),
                label=f"{name}, estimated in use",
            )
        if tax > 0:
            axes.axvline(SWITCHED_MIN, color="0.4", linestyle=":", linewidth=1)
            axes.annotate("tax switched on", (SWITCHED_MIN, 1), ha="right", va="bottom", rotation=90, fontsize="small")
        axes.set(title=f"tax on idle memory: {tax:.0%}", xlabel="time (min)")
    grid[0][0].set_ylim(0, 1.05 * epochs["resident_pages"].max() * GIB)
    grid[0][0].set_ylabel("host memory held (GiB)")
    handles, names = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4)
    return figure
