"""Bars over a column of names."""

from __future__ import annotations

from typing import Any

import pandas as pd
import seaborn as sns

from memvirt.drawing.style import (
    HATCHES,
    label,
    note,
    numeric,
    one_legend,
    ordered,
    outer_labels,
    panels,
    replicated,
    spans_decades,
)
from memvirt.drawing.words import said

CROWDED = 22  #: letters that fit below a panel


def draw(frame: pd.DataFrame, x: str, y: str, hue: str | None, col: str | None) -> Any:
    """Mean of ``y`` for each ``x``, a bar a value of ``hue``, a panel a value of ``col``."""
    numeric(frame, y, "--y")
    keys = [name for name in (x, hue, col) if name]
    told = note(frame, keys, "whiskers")
    frame, spread = replicated(frame, keys, y)
    figure, pairs = panels(frame, col)
    values = ordered(frame[hue]) if hue else []
    for axes, value in pairs:
        part = frame if col is None else frame[frame[col] == value]
        options: dict[str, Any] = {"hue": hue, "hue_order": values} if hue else {}
        sns.barplot(
            part, x=x, y=y, ax=axes, order=ordered(frame[x]), errorbar=spread, capsize=0.2,
            err_kws={"linewidth": 1}, edgecolor="black", linewidth=0.6, palette="colorblind" if hue else None, **options,
        )  # fmt: skip
        bars = [container for container in axes.containers if hasattr(container, "patches")]
        for number, container in enumerate(bars):
            for patch in container.patches:
                patch.set_hatch(HATCHES[number % len(HATCHES)])
        if spans_decades(frame[y]):
            axes.set_yscale("log")
        axes.set_xticks(range(frame[x].nunique()), [said(name) for name in ordered(frame[x])])
        if sum(max(map(len, str(name).split("\n"))) for name in ordered(frame[x])) > CROWDED:
            axes.tick_params(axis="x", rotation=30)
        axes.grid(visible=False, axis="x")
    outer_labels(pairs, label(x), label(y))
    one_legend(figure, pairs, label(hue) if hue else "")
    figure.say(told)
    return figure
