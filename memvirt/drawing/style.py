"""What all figures share: colours that the colour-blind can tell, marks that print can, panels that can be compared."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import rcParams
from matplotlib.figure import Figure

from memvirt.drawing.words import is_number, label, mean_over, said, short
from memvirt.errors import ConfigError, MemvirtError

__all__ = ["label"]

BINS = 12  #: parts into which a number with very many values is cut
HATCHES = ("", "//", "..", "xx", "\\\\", "--", "oo", "++", "**", "||")
DASHES = [(1, 0), (4, 1.5), (1, 1), (3, 1, 1, 1), (5, 1, 1, 1, 1, 1)]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]
LEGEND, LETTERS = 1.9, 13  #: inches that a legend beside panels takes, and small letters of an inch


def ordered(values: pd.Series[Any]) -> list[Any]:
    """Distinct values: numbers ascending, names as they first come."""
    found = list(pd.unique(values.dropna()))
    return sorted(found) if is_number(values) else found


def use() -> None:
    """Set the style."""
    sns.set_theme(context="paper", style="ticks", palette="colorblind", font_scale=1.05, color_codes=False)
    rcParams.update({"axes.grid": True, "grid.alpha": 0.35, "grid.linewidth": 0.6, "legend.frameon": False})


class Picture(Figure):
    """A figure that pyplot doesn't know of, so no window opens for it; a notebook shows it where it is a cell's value.

    Attributes
    ----------
    told : dict of list of str
        What a reader who points at a mark is told, by the mark's id: one text, or one for each point of a line.
    """

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.told: dict[str, list[str]] = {}

    def tell(self, artist: Any, *texts: str) -> None:
        """Say what a mark stands for, or each point of a line, to who points at it."""
        name = f"told{len(self.told)}"
        artist.set_gid(name)
        self.told[name] = list(texts)

    def legend_beside(self, handles: list[Any], names: list[str], title: str = "") -> None:
        """Put a legend at the right, in room of its own."""
        width, height = self.get_size_inches()
        self.set_size_inches(width + LEGEND, height)
        self.legend(handles, names, title=title, loc="outside right upper")

    def say(self, text: str) -> None:
        """Say in small letters above the panels what their marks stand for."""
        if text:
            width = int(LETTERS * max(self.get_size_inches()[0] - LEGEND, LEGEND))
            self.suptitle(textwrap.fill(text, width), x=0.01, ha="left", fontsize="small", color="0.3")

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


MOST_ACROSS = 4  #: panels beside each other


def facets(
    frame: pd.DataFrame, col: str | None, row: str | None = None, width: float = 4.2, height: float = 3.3, same_scale: bool = True
) -> tuple[Picture, list[tuple[Any, dict[str, Any], pd.DataFrame]]]:
    """Make a figure with a panel for each pair of values that there is, on one y axis: the figure; axes, values and rows of each.

    ``row``'s values go down and ``col``'s across; without a ``row``, panels go on in the next line.
    """
    use()
    across = ordered(frame[col]) if col else [None]
    down = ordered(frame[row]) if row else [None]
    columns = len(across) if row else min(MOST_ACROSS, len(across))
    lines = len(down) if row else -(-len(across) // columns)
    figure, grid = subplots(lines, columns, figsize=(width * columns, height * lines), squeeze=False, sharey=same_scale)
    found = []
    for place, axes in enumerate(grid.flat):
        values = {}
        if row:
            values = {row: down[place // columns]} | ({col: across[place % columns]} if col else {})
        elif col and place < len(across):
            values = {col: across[place]}
        part = frame
        for name, value in values.items():
            part = part[part[name] == value]
        if part.empty or place >= len(across) * len(down):
            axes.remove()
            continue
        if values:
            axes.set_title("\n".join(f"{short(name)}: {said(value)}" for name, value in reversed(values.items())), fontsize="small")
        found.append((axes, values, part))
    return figure, found


def panels(
    frame: pd.DataFrame, col: str | None, width: float = 4.2, height: float = 3.3, same_scale: bool = True
) -> tuple[Any, list[tuple[Any, Any]]]:
    """Make a figure with a panel for each value of a column: the figure, and (axes, value) pairs."""
    figure, found = facets(frame, col, None, width, height, same_scale)
    return figure, [(axes, values[col] if col else None) for axes, values, _ in found]


def outer_labels(found: Iterable[tuple[Any, ...]], x: str, y: str) -> None:
    """Name the y axis at the left of each line of panels and the x axis of each panel."""
    lines = set()
    for axes, *_ in found:
        line = axes.get_subplotspec().rowspan.start
        axes.set_xlabel(x)
        axes.set_ylabel("" if line in lines else y)
        axes.tick_params(labelleft=line not in lines)
        lines.add(line)


def numeric(frame: pd.DataFrame, column: str, option: str) -> None:
    """Refuse a column of names where numbers are drawn.

    Raises
    ------
    ConfigError
    """
    if not is_number(frame[column]):
        raise ConfigError(option, column, "is not a column of numbers", frame.select_dtypes("number").columns)


def needs(frame: pd.DataFrame, columns: Iterable[str]) -> None:
    """Refuse a table without some columns.

    Raises
    ------
    MemvirtError
    """
    missing = [name for name in columns if name not in frame]
    if missing:
        few = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise MemvirtError(f"the table has no column {few}: another version of memvirt wrote it; run its sweep again")


def one_legend(figure: Any, pairs: list[tuple[Any, Any]], title: str) -> None:
    """Take each panel's legend away and put one beside them."""
    handles: dict[str, Any] = {}
    for axes, _ in pairs:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
        if axes.get_legend():
            axes.get_legend().remove()
    if handles:
        figure.legend_beside(list(handles.values()), list(map(said, handles)), title)


def confidence(values: Any) -> tuple[float, float]:
    """Student's 95 % interval of a mean, from replicates."""
    from scipy import stats

    numbers = np.asarray(values, float)
    if numbers.size < 2:
        return (np.nan, np.nan)
    half = stats.t.ppf(0.975, numbers.size - 1) * numbers.std(ddof=1) / np.sqrt(numbers.size)
    return (numbers.mean() - half, numbers.mean() + half)


def has_replicates(frame: pd.DataFrame) -> bool:
    """Whether points were run several times."""
    return "replicate" in frame and frame["replicate"].nunique() > 1


def replicated(frame: pd.DataFrame, keys: list[str], y: str) -> tuple[pd.DataFrame, Any]:
    """Get rows ready to be drawn: what to draw, and how its spread is measured.

    With replicates, each replicate's rows become their mean, and the spread is that mean's confidence interval; else it is
    from the least row to the most.
    """
    if not has_replicates(frame):
        return frame, ("pi", 100)
    columns = [*dict.fromkeys(key for key in keys if key != "replicate"), "replicate"]
    return frame.groupby(columns, observed=True, dropna=False, sort=False)[y].mean().reset_index(), confidence


def means(frame: pd.DataFrame, keys: list[str], y: str) -> pd.DataFrame:
    """Mean of all rows of the same ``keys``, with its ``low`` and ``high``: as `replicated` measures its spread."""
    rows, spread = replicated(frame, keys, y)
    found = []
    for values, part in rows.groupby(keys, observed=True, dropna=False, sort=False)[y]:
        low, high = confidence(part) if spread is confidence else (part.min(), part.max())
        found.append((*values, part.mean(), low, high))
    return pd.DataFrame(found, columns=[*keys, y, "low", "high"])


def binned(frame: pd.DataFrame, x: str) -> pd.DataFrame:
    """Draw a number that takes very many values in `BINS` parts of equal width, each at its middle."""
    if not is_number(frame[x]) or frame[x].nunique() <= 4 * BINS:
        return frame
    edges = np.linspace(frame[x].min(), frame[x].max(), BINS + 1)
    place = np.clip(np.searchsorted(edges, frame[x], side="right") - 1, 0, BINS - 1)
    return frame.assign(**{x: (edges[place] + edges[place + 1]) / 2})


def note(frame: pd.DataFrame, keys: list[str], marks: str) -> str:
    """Say what a mark stands for where it is more than one row."""
    over = mean_over(frame, keys)
    return over and f"{over}; {marks}: {'its 95 % confidence interval' if has_replicates(frame) else 'least to most'}"
