"""What all figures share: colours that the colour-blind can tell, marks that print can, names with units."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import rcParams
from matplotlib.figure import Figure

#: What the axes say for columns whose name alone doesn't.
LABELS = {
    "slowdown": "slowdown (× native, alone, no faults)",
    "cycles": "cycles",
    "overcommit.ratio": "overcommit ratio",
    "mmu": "MMU mode",
    "tlb": "TLB",
    "numa": "NUMA topology",
    "reclaim.replacement": "page replacement",
    "stall_ns": "time waited for swap (ns)",
    "resident_pages": "resident pages (4 KiB each, mean over epochs)",
    "walk_cycles": "cycles in page walks",
    "epoch": "epoch",
    "vm": "VM",
}
#: Units of columns by the last word of their name.
UNITS = {"cycles": "cycles", "ns": "ns", "pages": "4 KiB pages", "faults": "count", "misses": "count", "hits": "count"}
UNITS |= {"walks": "count", "exits": "count", "accesses": "count", "instructions": "count", "refs": "count"}
BINS = 12  #: parts into which a number with very many values is cut
HATCHES = ("", "//", "..", "xx", "\\\\", "--", "oo", "++", "**", "||")
DASHES = [(1, 0), (4, 1.5), (1, 1), (3, 1, 1, 1), (5, 1, 1, 1, 1, 1)]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]


def label(column: str) -> str:
    """Name of a column with its unit."""
    if column in LABELS:
        return LABELS[column]
    words = column.replace(".", " ").replace("_", " ")
    unit = UNITS.get(column.replace(".", "_").rpartition("_")[2])
    if unit is None and (column.startswith(("walk_refs", "data_refs", "vm_exits", "pwc_hits"))):
        unit = "count"
    return f"{words} ({unit})" if unit and unit not in words else words


def ordered(values: pd.Series[Any]) -> list[Any]:
    """Distinct values: numbers ascending, names as they first come."""
    found = list(pd.unique(values.dropna()))
    return sorted(found) if pd.api.types.is_numeric_dtype(values) else found


def use() -> None:
    """Set the style."""
    sns.set_theme(context="paper", style="ticks", palette="colorblind", font_scale=1.05, color_codes=False)
    rcParams.update({"axes.grid": True, "grid.alpha": 0.35, "grid.linewidth": 0.6, "legend.frameon": False})


class Picture(Figure):
    """A figure that pyplot doesn't know of, so no window opens for it; a notebook shows it where it is a cell's value."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
        return buffer.getvalue()


def subplots(down: int = 1, across: int = 1, *, figsize: tuple[float, float], **options: Any) -> tuple[Picture, Any]:
    """Make a figure and its axes, as `matplotlib.pyplot.subplots` does."""
    figure = Picture(figsize=figsize, layout="constrained")
    return figure, figure.subplots(down, across, **options)


def spans_decades(values: pd.Series[Any]) -> bool:
    """Whether a logarithmic axis shows more."""
    return bool((values > 0).all() and values.max() / values.min() > 30)


def panels(
    frame: pd.DataFrame, col: str | None, width: float = 4.2, height: float = 3.3, same_scale: bool = True
) -> tuple[Any, list[tuple[Any, Any]]]:
    """Make a figure with a panel for each value of a column: the figure, and (axes, value) pairs."""
    use()
    values = ordered(frame[col]) if col else [None]
    across = min(4, len(values))
    down = -(-len(values) // across)
    figure, grid = subplots(down, across, figsize=(width * across, height * down), squeeze=False, sharey=same_scale)
    for spare in grid.flat[len(values) :]:
        spare.set_visible(False)
    pairs = list(zip(grid.flat, values, strict=False))
    for axes, value in pairs:
        if col:
            axes.set_title(f"{label(col)}: {value}")
    return figure, pairs


def numeric(frame: pd.DataFrame, column: str, option: str) -> None:
    """Refuse a column of names where numbers are drawn.

    Raises
    ------
    ConfigError
    """
    from memvirt.errors import ConfigError

    if not pd.api.types.is_numeric_dtype(frame[column]):
        raise ConfigError(option, column, "is not a column of numbers", frame.select_dtypes("number").columns)


def one_legend(figure: Any, pairs: list[tuple[Any, Any]], title: str) -> None:
    """Take each panel's legend away and put one beside them."""
    handles, names = pairs[0][0].get_legend_handles_labels()
    for axes, _ in pairs:
        if axes.get_legend():
            axes.get_legend().remove()
    if handles:
        figure.legend(handles, names, title=title, loc="outside right upper")


def confidence(values: Any) -> tuple[float, float]:
    """Student's 95 % interval of a mean, from replicates."""
    from scipy import stats

    numbers = np.asarray(values, float)
    if numbers.size < 2:
        return (np.nan, np.nan)
    half = stats.t.ppf(0.975, numbers.size - 1) * numbers.std(ddof=1) / np.sqrt(numbers.size)
    return (numbers.mean() - half, numbers.mean() + half)


def replicated(frame: pd.DataFrame, keys: list[str], y: str) -> tuple[pd.DataFrame, Any]:
    """Get rows ready to be drawn: what to draw, and how its spread is measured.

    With replicates, each replicate's rows become their mean, and the spread is that mean's confidence interval; else it is
    from the least row to the most.
    """
    if "replicate" not in frame or frame["replicate"].nunique() < 2:
        return frame, ("pi", 100)
    columns = [*dict.fromkeys(key for key in keys if key != "replicate"), "replicate"]
    return frame.groupby(columns, observed=True, dropna=False, sort=False)[y].mean().reset_index(), confidence


def binned(frame: pd.DataFrame, x: str) -> pd.DataFrame:
    """Draw a number that takes very many values in `BINS` parts of equal width, each at its middle."""
    if not pd.api.types.is_numeric_dtype(frame[x]) or frame[x].nunique() <= 4 * BINS:
        return frame
    edges = np.linspace(frame[x].min(), frame[x].max(), BINS + 1)
    place = np.clip(np.searchsorted(edges, frame[x], side="right") - 1, 0, BINS - 1)
    return frame.assign(**{x: (edges[place] + edges[place + 1]) / 2})


def spread_note(frame: pd.DataFrame, keys: list[str], marks: str) -> str:
    """Say what a mark stands for where it is more than one row."""
    if "replicate" in frame and frame["replicate"].nunique() > 1:
        return f"mean of {frame['replicate'].nunique()} replicates; {marks}: its 95 % confidence interval"
    most = int(frame.groupby(keys, observed=True, dropna=False).size().max())
    return "" if most == 1 else f"mean of up to {most} rows; {marks}: least to most"
