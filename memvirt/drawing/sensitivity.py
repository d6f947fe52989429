"""Figures of a sensitivity study: Morris's screening and Sobol's indices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from memvirt.drawing.style import HATCHES, MARKERS, panels, spans_decades
from memvirt.drawing.words import label, short


def _joined(frame: pd.DataFrame, outer: list[str]) -> tuple[pd.DataFrame, str | None]:
    """Say each combination of the other keys in one column; a panel each."""
    if not outer:
        return frame, None
    if len(outer) == 1:
        return frame, outer[0]
    names = frame[outer].astype(str).agg(", ".join, axis=1)
    return frame.assign(**{" × ".join(outer): names}), " × ".join(outer)


def _parts(frame: pd.DataFrame, outer: list[str], height: float, same_scale: bool) -> tuple[Any, list[tuple[Any, pd.DataFrame]]]:
    joined, col = _joined(frame, outer)
    figure, pairs = panels(joined, col, height=height, same_scale=same_scale)
    return figure, [(axes, joined if col is None else joined[joined[col] == value]) for axes, value in pairs]


def screen(morris: pd.DataFrame, outer: list[str], column: str) -> Any:
    """Draw mu* against sigma, a mark a parameter: right matters, up interacts or bends.

    Parameters
    ----------
    morris : DataFrame
        ``parameter``, ``mu_star``, ``mu_star_conf``, ``sigma`` and the ``outer`` columns, a panel for each of whose combinations.
    """
    figure, parts = _parts(morris, outer, 3.6, same_scale=False)
    names = list(dict.fromkeys(morris["parameter"]))
    colours = _colours(len(names))
    reach = max(1e-12, (morris["mu_star"] + morris["mu_star_conf"]).max(), morris["sigma"].max()) * 1.05  # of all panels
    for axes, part in parts:
        for slope, text in ((1.0, "σ = μ*"), (0.5, "σ = μ*/2"), (0.1, "σ = μ*/10")):
            axes.plot([0, reach], [0, slope * reach], color="0.75", linewidth=0.8, linestyle=":", zorder=0)
            axes.annotate(text, (0.9 * reach, 0.9 * slope * reach), fontsize="x-small", color="0.45", ha="right", va="bottom")
        for place, name in enumerate(names):
            row = part[part["parameter"] == name]
            axes.errorbar(
                row["mu_star"], row["sigma"], xerr=row["mu_star_conf"], linestyle="", marker=MARKERS[place % len(MARKERS)],
                color=colours[place], markersize=7, markeredgecolor="black", markeredgewidth=0.5, capsize=2, label=short(name),
            )  # fmt: skip
        axes.set(xlabel=f"μ*: mean effect on\n{_name(column)}", xlim=(0, reach), ylim=(0, reach))
    parts[0][0].set_ylabel("σ: spread of the effect")
    handles, texts = parts[0][0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=min(3, len(names)), title="parameter (bars: 95 % of μ*)")
    return figure


def bars(sobol: pd.DataFrame, outer: list[str], column: str) -> Any:
    """Draw first and total indices side by side, a pair a parameter, with their confidence intervals.

    Parameters
    ----------
    sobol : DataFrame
        ``parameter``, ``S1``, ``S1_conf``, ``ST``, ``ST_conf`` and the ``outer`` columns, a panel for each of whose combinations.
    """
    figure, parts = _parts(sobol, outer, 3.6, same_scale=True)
    colours = _colours(2)
    ends = [sobol[index].fillna(0) + sign * sobol[f"{index}_conf"].fillna(0) for index in ("S1", "ST") for sign in (-1, 1)]
    low, high = min(0.0, *(end.min() for end in ends)), max(1e-12, *(end.max() for end in ends))
    for axes, part in parts:
        axes.set_xlim(low - 0.03 * (high - low), high + 0.03 * (high - low))
        at = np.arange(len(part))
        for place, (index, text) in enumerate((("S1", "first order: alone"), ("ST", "total: with interactions"))):
            axes.barh(
                at + (place - 0.5) * 0.38, part[index].fillna(0), 0.36, xerr=part[f"{index}_conf"].fillna(0), label=text,
                color=colours[place], hatch=HATCHES[place], edgecolor="black", linewidth=0.5,
                error_kw={"capsize": 2, "linewidth": 0.9},
            )  # fmt: skip
        axes.set_yticks(at, [short(name) for name in part["parameter"]])
        axes.invert_yaxis()
        axes.axvline(0, color="0.3", linewidth=0.8)
        axes.set_xlabel(f"share of the variance of\n{_name(column)}")
    handles, texts = parts[0][0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=2, title="Sobol' index (bars: 95 %)")
    return figure


def history(trials: pd.DataFrame, column: str, over_vms: str) -> Any:
    """Draw a search: each trial's number, those that met the conditions told from the others, and the best so far."""
    figure, [(axes, _)] = panels(trials, None, width=5.5)
    colours = _colours(2)
    for met, marker, text in ((True, "o", "meets the conditions"), (False, "x", "does not")):
        part = trials[trials["feasible"] == met]
        axes.plot(part["trial"], part[column], linestyle="", marker=marker, color=colours[not met], label=text)
    axes.plot(trials["trial"], trials["best so far"].ffill(), color="black", drawstyle="steps-post", label="best so far")
    if spans_decades(trials[column].dropna()):
        axes.set_yscale("log")
    axes.set(xlabel="trial", ylabel=f"{label(column)},\n{over_vms} of the VMs")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _name(column: str) -> str:
    """What was studied: a column, or ``ln`` and a column."""
    word, _, rest = column.partition(" ")
    return f"ln {label(rest)}" if word == "ln" and rest else label(column)


def _colours(count: int) -> list[Any]:
    import seaborn as sns

    return sns.color_palette("colorblind", count)  # type: ignore[no-any-return]
