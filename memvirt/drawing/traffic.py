"""References to memory by node of CPU and of memory."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pandas as pd
import seaborn as sns

from memvirt.drawing.style import Picture, facets
from memvirt.drawing.words import said
from memvirt.types import READ_KINDS

NAMES = dict(zip(READ_KINDS, ("data", "guest's or process's tables", "host's tables", "tables that a mode adds"), strict=True))
MOST_WRITTEN = 64  #: fields whose value is written in them
MOST_DESIGNS = 8  #: that are drawn


def pairs_of(texts: pd.Series) -> dict[tuple[int, int], int]:
    """Sum of a column's references by node of CPU and of memory."""
    found: dict[tuple[int, int], int] = defaultdict(int)
    for text in texts.dropna():
        for part in str(text).split():
            pair, _, times = part.partition(":")
            cpu, _, memory = pair.partition(">")
            found[int(cpu), int(memory)] += int(times)
    return found


def has_traffic(frame: pd.DataFrame, axes: list[str]) -> bool:
    """Whether a table knows references by node pair, of no more designs than can be drawn beside each other: a sum hides them."""
    columns = [f"node_traffic_{kind}" for kind in READ_KINDS]
    known = all(column in frame for column in columns) and bool((frame[columns].fillna("") != "").to_numpy().any())
    return known and len(designs_of(frame, axes)) <= MOST_DESIGNS


def designs_of(frame: pd.DataFrame, axes: list[str]) -> list[tuple[str, pd.DataFrame]]:
    """Name and rows of each of a sweep's designs, by the keys that vary."""
    if not axes:
        return [("", frame)]
    groups = frame.groupby(axes, sort=False, dropna=False)
    return [(", ".join(map(said, values)), rows) for values, rows in groups]


def node_traffic(frame: pd.DataFrame, axes: list[str]) -> Picture:
    """Share of a design's references to memory that each pair of nodes has: a line a design, a panel a kind of what is read."""
    found = [
        (name, NAMES[kind], pairs)
        for name, rows in designs_of(frame, axes)
        for kind in READ_KINDS
        if (pairs := pairs_of(rows[f"node_traffic_{kind}"]))
    ]
    nodes = 1 + max(max(pair) for _, _, pairs in found for pair in pairs)
    table = pd.DataFrame(
        {"design": [name for name, _, _ in found], "what": [what for _, what, _ in found], "pairs": [pairs for *_, pairs in found]}
    )
    total = {name: sum(sum(pairs.values()) for pairs in rows["pairs"]) for name, rows in table.groupby("design")}
    figure, panels = facets(table, "what", "design", width=2.9, height=2.6 if len(total) == 1 else 2.8)
    for place, (panel, values, rows) in enumerate(panels):
        grid = np.zeros((nodes, nodes))
        for pair, times in rows["pairs"].iloc[0].items():
            grid[pair] = 100 * times / total[values["design"]]
        sns.heatmap(
            grid, ax=panel, cmap="cividis", vmin=0, vmax=100, annot=grid.size <= MOST_WRITTEN, fmt=".3g", linewidths=0.5,
            cbar=place == len(panels) - 1, cbar_kws={"label": "share of the design's\nreferences to memory (%)"},
        )  # fmt: skip
        title = values["what"] + (f"\n{values['design']}" if values["design"] else "")
        panel.set_title(title, fontsize="small" if values["design"] else None)
        panel.set(xlabel="node of the memory", ylabel="node of the CPU")
    figure.say("all VMs of a design together")
    return figure
