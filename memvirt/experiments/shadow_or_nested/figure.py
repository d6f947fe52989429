"""T8: cycles over the rate of page-table updates."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from memvirt.drawing.style import use
from memvirt.experiments.shadow_or_nested.measure import RATE, crossover, table


def draw(frame: pd.DataFrame) -> Any:
    """Lines of shadow and nested, with where they cross."""
    use()
    cycles = table(frame).div(frame["accesses"].iloc[0])
    figure, axes = plt.subplots(figsize=(5, 3.4), layout="constrained")
    for mode, marker, dashes in (("shadow", "o", (1, 0)), ("nested", "s", (4, 1.5))):
        axes.plot(cycles.index, cycles[mode], marker=marker, dashes=dashes, label=mode)
    even = crossover(cycles)
    if even == even:
        axes.axvline(even, color="0.4", linestyle=":", linewidth=1)
        axes.annotate(f"even at {even:.1f}", (even, axes.get_ylim()[1]), ha="right", va="top", rotation=90, fontsize="small")
    axes.set(xscale="log", xlabel=RATE, ylabel="cycles per access")
    axes.legend(title="MMU mode")
    return figure
