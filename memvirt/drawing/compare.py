"""Published numbers beside simulated ones."""

from __future__ import annotations

from typing import Any

from memvirt.drawing.style import subplots, use


def pairs(axes: Any, labels: list[str], published: list[float], simulated: list[float], what: str) -> None:
    """Draw bars in pairs into axes; parameters as those of `beside`."""
    for shift, values, name, hatch, colour in ((-0.2, published, "published", "//", "0.75"), (0.2, simulated, "memvirt", "", "C0")):
        bars = axes.bar(
            [place + shift for place in range(len(labels))],
            values,
            0.4,
            label=name,
            color=colour,
            hatch=hatch,
            edgecolor="black",
            linewidth=0.6,
        )
        axes.bar_label(bars, fmt="%.3g", fontsize="x-small", padding=1)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_ylabel(what)
    axes.margins(y=0.12)


def beside(labels: list[str], published: list[float], simulated: list[float], what: str, log: bool = False) -> Any:
    """Draw bars in pairs.

    Parameters
    ----------
    labels : list of str
    published, simulated : list of float
    what : str
        Of the y axis, with its unit.
    log : bool
        Whether the axis is logarithmic.

    Returns
    -------
    matplotlib.figure.Figure
    """
    use()
    figure, axes = subplots(figsize=(1.6 + 0.75 * len(labels), 3.4))
    pairs(axes, labels, published, simulated, what)
    if log:
        axes.set_yscale("log")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return figure
