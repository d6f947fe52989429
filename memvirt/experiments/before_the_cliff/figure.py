"""Monitors of the run under host swap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from memvirt.drawing.monitor import monitor
from memvirt.result.table import read_results

NAMES = {0: "web server", 1: "batch job 1", 2: "batch job 2", 3: "batch job 3"}


def draw(frame: pd.DataFrame) -> Any:
    """Draw the first policy's monitors, until its first VM is done."""
    epochs = read_results(Path(frame.attrs["folder"]) / "epochs.parquet")
    epochs = epochs[epochs["point_id"] == frame["point_id"].iloc[0]]
    return monitor(epochs, NAMES, last=int(epochs.groupby("vm")["epoch"].max().min()))
