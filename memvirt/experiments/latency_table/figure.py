"""T12, T13: clocks a load over the footprint, with the rows that were measured."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.config import parse_size
from memvirt.experiments.latency_table.measure import MEASURED, clocks
from memvirt.figures import draw as draw_kind


def draw(frame: pd.DataFrame) -> Any:
    """A line a machine; Skylake-X's measured rows as one more."""
    simulated = clocks(frame).rename("clocks a load").reset_index()
    measured = pd.DataFrame(
        {
            "machine": "Skylake-X, measured",
            "footprint": [parse_size(each) for each in MEASURED],
            "clocks a load": [float(each) for each in MEASURED.values()],
        }
    )
    both = pd.concat([simulated, measured], ignore_index=True)
    both["footprint (MiB)"] = both["footprint"] / 2**20
    figure = draw_kind(both, "line", "footprint (MiB)", "clocks a load", "machine")
    for axes in figure.axes:
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
    return figure
