"""References to memory by node of CPU and of memory."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pandas as pd
import seaborn as sns

from memvirt.drawing.style import Picture, panels
from memvirt.types import READ_KINDS

NAMES = dict(zip(READ_KINDS, ("data", "guest's or process's tables", "host's tables", "tables that a mode adds"), strict=True))
MOST_WRITTEN = 64  #: fields whose value is written in them


def pairs_of(texts: pd.Series) -> dict[tuple[int, int], int]:
    """Sum of a column's references by node of CPU and of memory."""
    found: dict[tuple[int, int], int] = defaultdict(int)
    for text in texts.dropna():
        for part in str(text).split():
            pair, _, times = part.partition(":")
            cpu, _, memory = pair.partition(">")
            found[int(cpu), int(memory)] += int(times)
    return found


def has_traffic(frame: pd.DataFrame) -> bool:
    """Whether a table knows references by node pair."""
    columns = [f"node_traffic_{kind}" for kind in READ_KINDS]
    return all(column in frame for column in columns) and bool((frame[columns].fillna("") != "").to_numpy().any())


def node_traffic(frame: pd.DataFrame) -> Picture:
    """Share of the references to memory that each pair of nodes has, a panel for each kind of what is read."""
    found = {kind: pairs_of(frame[f"node_traffic_{kind}"]) for kind in READ_KINDS}
    found = {kind: pairs for kind, pairs in found.items() if pairs}
    nodes = 1 + max(max(pair) for pairs in found.values() for pair in pairs)
    total = sum(sum(pairs.values()) for pairs in found.values())
    figure: Picture
    figure, axes_of = panels(pd.DataFrame({"what": list(found)}), "what", width=2.9, height=2.6)
    for axes, kind in axes_of:
        grid = np.zeros((nodes, nodes))
        for pair, times in found[kind].items():
            grid[pair] = 100 * times / total
        sns.heatmap(
            grid, ax=axes, cmap="cividis", vmin=0, vmax=100, annot=grid.size <= MOST_WRITTEN, fmt=".3g", linewidths=0.5,
            cbar=axes is axes_of[-1][0], cbar_kws={"label": "share of references to memory (%)"},
        )  # fmt: skip
        axes.set(title=NAMES[kind], xlabel="node of the memory", ylabel="node of the CPU")
    points = frame["point_id"].nunique() if "point_id" in frame else 1
    figure.say(f"all VMs of {points} points together" if points > 1 else "all VMs together")
    return figure
