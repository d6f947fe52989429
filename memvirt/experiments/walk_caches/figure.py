"""T7: speed by step and program."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.experiments.walk_caches.measure import speed
from memvirt.figures import draw as draw_kind


def draw(frame: pd.DataFrame) -> Any:
    """Bars of speed over no walk cache."""
    long = speed(frame).reset_index().melt("workload", var_name="walk caches", value_name="speed over no walk cache")
    return draw_kind(long, "bar", "workload", "speed over no walk cache", "walk caches")
