"""Figures: tidy frame in, picture out; each a pure function of the result table.

A kind of plot is a file of this folder with ``draw(frame, x, y, hue, col) -> Figure``.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from memvirt.drawing.words import is_number
from memvirt.errors import ConfigError, MemvirtError
from memvirt.policy import load, names
from memvirt.result.table import write_whole

__all__ = ["draw", "draw_sweep", "kinds", "save", "save_all"]

FORMATS = (".png", ".pdf", ".svg")


def kinds() -> list[str]:
    """Names of the kinds of plot."""
    return names("figures")


def draw(frame: pd.DataFrame, kind: str | None, x: str, y: str, hue: str | None = None, col: str | None = None):  # type: ignore[no-untyped-def]
    """Draw columns of a result table.

    Parameters
    ----------
    frame : DataFrame
        As `memvirt.result.table.read_results` gives; rows that failed are left out.
    kind : {'line', 'bar', 'heat'}, optional
        By default a line over numbers and bars over names.
    x, y, hue, col : str
        Columns; of a heat map, ``hue`` is what the colours show.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MemvirtError
        If a column isn't there or can't be drawn so, or no row went well.
    """
    for option, column in (("--x", x), ("--y", y), ("--hue", hue), ("--col", col)):
        if column is not None and column not in frame.columns:
            raise ConfigError(option, column, "the table has no such column", frame.columns)
    if kind is None:
        kind = "line" if is_number(frame[x]) else "bar"
    if kind not in kinds():
        raise ConfigError("--kind", kind, "there is no such kind of plot", kinds())
    good = frame[frame["status"] == "ok"] if "status" in frame else frame
    if good.empty:
        raise MemvirtError("no row of the table has status ok: there is nothing to draw")
    return load("figures", kind, "--kind").draw(good, x, y, hue, col)


def save(figure, path: Path, close: bool = True) -> Path:  # type: ignore[no-untyped-def]
    """Write a figure; the ending of its name is its format.

    Raises
    ------
    MemvirtError
        If the ending isn't known, or (a WriteError) the place can't be written.
    """
    import matplotlib.pyplot as plt

    if path.suffix not in FORMATS:
        raise ConfigError("-o", path, "must end in the name of a picture format", FORMATS)
    write_whole(path, lambda part: figure.savefig(part, format=path.suffix[1:], dpi=160, bbox_inches="tight"))
    figure.set_layout_engine("none")  # its parts have their places; finding them is a third of the time
    if close:
        plt.close(figure)
    return path


def draw_sweep(frame: pd.DataFrame, axes: list[str], averages: bool = True):  # type: ignore[no-untyped-def]
    """Draw what a reader of a sweep wants to see first: (name, figure) pairs.

    ``averages``: over keys that have no place in a picture, which means something unless keys vary together.
    """
    from memvirt.drawing.sweep import overview

    return overview(frame, axes, averages)


def save_all(pictures, directory: Path) -> list[Path]:  # type: ignore[no-untyped-def]
    """Write figures by name, as PNG and PDF; returns the paths."""
    paths = []
    for name, figure in pictures:
        paths += [save(figure, directory / f"{name}{suffix}", close=suffix == ".pdf") for suffix in (".png", ".pdf")]
    return paths
