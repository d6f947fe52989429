"""How far memory can be overcommitted: throughput and the worst VM's slowdown over the ratio, with each policy's cliff."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns

from memvirt.drawing.style import DASHES, MARKERS, subplots, use
from memvirt.drawing.words import short

CLIFF = "0.25"


def throughput(tried: pd.DataFrame, found: pd.DataFrame, keys: list[str], limit: float) -> Any:
    """Draw two panels over the ratio, a line a combination of the keys; from each cliff a line goes down to the axis.

    Parameters
    ----------
    tried : DataFrame
        The keys, ``ratio``, ``throughput``, ``slowdown`` (per cent; NaN where there is no result) and ``why`` it failed.
    found : DataFrame
        The keys and ``ratio``, the highest safe one.
    keys : list of str
    limit : float
        Per cent.

    Returns
    -------
    matplotlib.figure.Figure
    """
    use()
    figure, (left, right) = subplots(1, 2, figsize=(9.6, 3.7))
    colours = sns.color_palette("colorblind", max(len(found), 1))
    for place, (_, row) in enumerate(found.iterrows()):
        mine = tried[(tried[keys] == row[keys]).all(axis=1)].sort_values("ratio")
        good = mine[mine["slowdown"].notna()]
        look: dict[str, Any] = {
            "color": colours[place], "markersize": 4,
            "marker": MARKERS[place % len(MARKERS)], "dashes": DASHES[place % len(DASHES)],
        }  # fmt: skip
        name = ", ".join(str(row[key]) for key in keys)
        ratio = row["ratio"]
        left.plot(mine["ratio"], mine["throughput"], label=f"{name}: {'never' if pd.isna(ratio) else f'{ratio:.3g}'}", **look)
        right.plot(good["ratio"], good["slowdown"].clip(lower=0), **look)
        lost = mine[mine["slowdown"].isna()]
        left.plot(lost["ratio"], lost["throughput"], linestyle="", marker="x", color=colours[place], markersize=7, zorder=3)
        if pd.notna(ratio):
            at = float(np.interp(ratio, mine["ratio"], mine["throughput"]))
            left.plot([ratio, ratio], [0, at], color=colours[place], linewidth=1.1, linestyle=":")
            left.plot(ratio, at, marker="o", markersize=11, markerfacecolor="none", markeredgecolor=colours[place], linestyle="")
    right.axhline(limit, color=CLIFF, linewidth=1, linestyle="--")
    right.annotate(f"limit {limit:g} %", (1, limit), xycoords=("axes fraction", "data"), ha="right", va="bottom", color=CLIFF)
    right.set_yscale("symlog", linthresh=1)
    right.set_ylim(bottom=0)
    left.set(xlabel=short("overcommit.ratio"), ylabel="throughput (1: not overcommitted)", ylim=(0, 1.08))
    right.set(xlabel=short("overcommit.ratio"), ylabel="slowdown of the worst VM (%)")
    figure.legend(title=f"{', '.join(map(short, keys))}: safe ratio (ring)", loc="outside right upper")
    if tried["slowdown"].isna().any():
        figure.supxlabel("crosses: no result", fontsize="small", color="0.35")
    return figure
