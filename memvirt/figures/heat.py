"""A heat map: two columns span it, a third is its colour."""

from __future__ import annotations

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.colors import LogNorm, Normalize

from memvirt.drawing.style import label, numeric, ordered, panels, spans_decades
from memvirt.drawing.words import mean_over, said
from memvirt.errors import MemvirtError


def draw(frame: pd.DataFrame, x: str, y: str, hue: str | None, col: str | None) -> Any:
    """Mean of ``hue`` (its value is written in each field) at each ``x`` and ``y``, a panel a value of ``col``.

    Raises
    ------
    MemvirtError
        Without a ``hue``.
    """
    if hue is None:
        raise MemvirtError("--kind heat needs --hue: the column that the colours show")
    numeric(frame, hue, "--hue")
    figure, pairs = panels(frame, col)
    keys = [name for name in (x, y, col) if name]
    means = frame.groupby(keys, observed=True)[hue].mean()
    norm = (LogNorm if spans_decades(means) else Normalize)(means.min(), means.max())
    for axes, value in pairs:
        part = frame if col is None else frame[frame[col] == value]
        grid = part.pivot_table(index=y, columns=x, values=hue, aggfunc="mean", observed=True)
        grid = grid.reindex(index=ordered(frame[y]), columns=ordered(frame[x]))
        sns.heatmap(
            grid, ax=axes, cmap="cividis", norm=norm, annot=grid.size <= 80, fmt=".4g", linewidths=0.5,
            cbar=axes is pairs[-1][0], cbar_kws={"label": label(hue)},
        )  # fmt: skip
        axes.set(xlabel=label(x), ylabel=label(y))
        axes.set_xticklabels(map(said, grid.columns))
        axes.set_yticklabels(map(said, grid.index), rotation=0)
    figure.say(mean_over(frame, keys))
    return figure
