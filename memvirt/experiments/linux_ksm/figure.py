"""O8: KSM's counters over the pages scanned, the kernel's and simulated."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.style import subplots, use
from memvirt.experiments.linux_ksm.measure import arguments, kernel, simulated

SHOWN = {"pages_sharing": "sharing", "pages_unshared": "unshared", "pages_volatile": "volatile", "pages_shared": "shared"}


def draw(frame: pd.DataFrame) -> Any:
    """Lines of what the kernel counted, marks of what was simulated, a panel a run."""
    use()
    runs = simulated(frame)
    across = min(4, max(1, len(runs)))
    down = max(1, -(-len(runs) // across))
    figure, grid = subplots(down, across, figsize=(3.1 * across, 2.5 * down + 0.4), squeeze=False)
    for spare in grid.flat[len(runs) :]:
        spare.set_visible(False)
    for axes, (run, rows) in zip(grid.flat, runs.items(), strict=False):
        wanted, told = kernel(run), arguments(run)
        for place, (column, name) in enumerate(SHOWN.items()):
            axes.plot(wanted["pages_scanned"] / 1e3, wanted[column] / 1e3, color=f"C{place}", linewidth=1, label=f"{name}, kernel")
            axes.plot(
                rows["pages_scanned"] / 1e3,
                rows[column] / 1e3,
                "osDv"[place],
                color=f"C{place}",
                markersize=3,
                alpha=0.6,
                label=f"{name}, memvirt",
            )
        axes.set_title(f"{run.replace('_', ' ')}: {told['writes']} writes, {told['contents']} contents", fontsize="small")
        axes.set(xlabel="pages scanned (thousands)", ylabel="4 KiB pages (thousands)")
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure
