"""How far memory can be overcommitted: throughput and the worst VM's slowdown over the ratio, with each policy's cliff."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns

from memvirt.drawing.style import DASHES, MARKERS, subplots, use
from memvirt.drawing.words import short

CLIFF = "0.25"


def _said(ratio: float, error: float) -> str:
    if pd.isna(ratio):
        return "never"
    return f"{ratio:.3g}" if pd.isna(error) else f"{ratio:.4g} ± {error:.2g}"


def _over_samples(tried: pd.DataFrame) -> pd.DataFrame:
    """Mean, least and most over the samples of a line, at the ratios that all of them tried."""
    count = tried.groupby("ratio")["ratio"].transform("size")
    by_ratio = tried[count == count.max()].groupby("ratio")
    found: pd.DataFrame = by_ratio[["throughput", "slowdown"]].mean()
    for name in ("throughput", "slowdown"):
        found[f"{name}_low"], found[f"{name}_high"] = by_ratio[name].min(), by_ratio[name].max()
    found = found.reset_index()
    return found


def throughput(tried: pd.DataFrame, found: pd.DataFrame, keys: list[str], limit: float) -> Any:
    """Draw two panels over the ratio, a line a combination of the keys; from each cliff a line goes down to the axis.

    Parameters
    ----------
    tried : DataFrame
        The keys, ``ratio``, ``throughput``, ``slowdown`` (per cent; NaN where there is no result) and ``why`` it failed.
    found : DataFrame
        The keys and ``ratio``, the highest safe one. Of several samples (`vms.scale_seed`) ``crossing`` is the mean and
        ``sample_error`` the standard deviation: the line is their mean, around it an area from the least to the most of them.
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
    for place, row in enumerate(found.to_dict("records")):
        mine = _over_samples(tried[np.logical_and.reduce([tried[key] == row[key] for key in keys] or [tried["ratio"].notna()])])
        good = mine[mine["slowdown"].notna()]
        look: dict[str, Any] = {
            "color": colours[place], "markersize": 4,
            "marker": MARKERS[place % len(MARKERS)], "dashes": DASHES[place % len(DASHES)],
        }  # fmt: skip
        name = ", ".join(str(row[key]) for key in keys) or "all"
        ratio, error = row.get("crossing", row["ratio"]), row.get("sample_error", np.nan)
        left.plot(mine["ratio"], mine["throughput"], label=f"{name}: {_said(ratio, error)}", **look)
        right.plot(good["ratio"], good["slowdown"].clip(lower=0), **look)
        for panel, column, rows in ((left, "throughput", mine), (right, "slowdown", good)):
            low, high = rows[f"{column}_low"].clip(lower=0), rows[f"{column}_high"].clip(lower=0)
            panel.fill_between(rows["ratio"], low, high, color=colours[place], alpha=0.2, linewidth=0)
        lost = mine[mine["slowdown"].isna()]
        left.plot(lost["ratio"], lost["throughput"], linestyle="", marker="x", color=colours[place], markersize=7, zorder=3)
        if pd.notna(ratio):
            at = float(np.interp(ratio, mine["ratio"], mine["throughput"]))
            left.plot([ratio, ratio], [0, at], color=colours[place], linewidth=1.1, linestyle=":")
            if pd.notna(error):
                left.errorbar(ratio, at, xerr=error, color=colours[place], capsize=3, linewidth=1.4)
            left.plot(ratio, at, marker="o", markersize=11, markerfacecolor="none", markeredgecolor=colours[place], linestyle="")
    right.axhline(limit, color=CLIFF, linewidth=1, linestyle="--")
    right.annotate(f"limit {limit:g} %", (1, limit), xycoords=("axes fraction", "data"), ha="right", va="bottom", color=CLIFF)
    right.set_yscale("symlog", linthresh=1)
    right.set_ylim(bottom=0)
    left.set(xlabel=short("overcommit.ratio"), ylabel="throughput (1: not overcommitted)", ylim=(0, 1.08))
    right.set(xlabel=short("overcommit.ratio"), ylabel="slowdown of the worst VM (%)")
    of_what = f"{', '.join(map(short, keys))}: safe ratio (ring)".lstrip(": ")
    if "sample_error" in found:
        of_what += "\nwith the error of a sample"
    figure.legend(title=of_what, loc="outside right upper")
    if tried["slowdown"].isna().any():
        figure.supxlabel("crosses: no result", fontsize="small", color="0.35")
    return figure
