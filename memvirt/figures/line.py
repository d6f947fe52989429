"""Lines over a numeric column."""

from __future__ import annotations

from typing import Any

import pandas as pd
import seaborn as sns

from memvirt.drawing.style import (
    DASHES,
    MARKERS,
    binned,
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


def draw(frame: pd.DataFrame, x: str, y: str, hue: str | None, col: str | None) -> Any:
    """Mean of ``y`` at each ``x``, a line a value of ``hue``, a panel a value of ``col``."""
    numeric(frame, y, "--y")
    numeric(frame, x, "--x")
    frame = binned(frame, x)
    keys = [name for name in (x, hue, col) if name]
    told = note(frame, keys, "bands")
    frame, spread = replicated(frame, keys, y)
    figure, pairs = panels(frame, col)
    values = ordered(frame[hue]) if hue else []
    many = {
        "style": hue,
        "hue_order": values,
        "style_order": values,
        "markers": MARKERS[: len(values)],
        "dashes": DASHES[: len(values)],
    }
    if len(values) > min(len(DASHES), len(MARKERS)):
        many = {"hue_order": values, "palette": "viridis", "marker": "o"}
    for axes, value in pairs:
        part = frame if col is None else frame[frame[col] == value]
        options = {"hue": hue, **many} if hue else {"marker": "o"}
        sns.lineplot(part, x=x, y=y, ax=axes, errorbar=spread, err_style="band", legend="full" if hue else False, **options)
        if spans_decades(frame[y]):
            axes.set_yscale("log")
        if frame[x].nunique() <= 6:
            axes.set_xticks(ordered(frame[x]))
    outer_labels(pairs, label(x), label(y))
    one_legend(figure, pairs, label(hue) if hue else "")
    figure.say(told)
    return figure
