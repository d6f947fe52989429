"""O1: run time over the size of a VM, ballooned and given."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.style import subplots, use
from memvirt.experiments.balloon_overhead.measure import table


def draw(frame: pd.DataFrame) -> Any:
    """Bars in pairs, with what is between them in per cent."""
    use()
    cycles = table(frame) / 1e9
    figure, axes = subplots(figsize=(5, 3.4))
    for shift, how, hatch, colour in ((-0.2, "given", "//", "0.75"), (0.2, "ballooned", "", "C0")):
        axes.bar(
            [place + shift for place in range(len(cycles))],
            cycles[how],
            0.4,
            label=how,
            color=colour,
            hatch=hatch,
            edgecolor="black",
        )
    for place, (_, row) in enumerate(cycles.iterrows()):
        axes.annotate(f"{100 * (row['ballooned'] / row['given'] - 1):+.2f} %", (place, row.max()), ha="center", va="bottom")
    axes.set_xticks(range(len(cycles)), [f"{size} MiB" for size in cycles.index])
    axes.set(xlabel="memory of the VM (of 64 MiB)", ylabel="cycles (10⁹)")
    axes.margins(y=0.12)
    axes.legend()
    return figure
