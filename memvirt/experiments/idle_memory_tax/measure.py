"""What an idle VM keeps without and with a tax on idle memory, and what that gains the active one."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from memvirt.result.table import read_results

IDLE, ACTIVE = 0, 1
SETTLED = 8  #: epochs at the end of each part that are averaged


def over_time(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of each point, VM and epoch that both VMs lived through."""
    epochs = read_results(Path(frame.attrs["folder"]) / "epochs.parquet")
    ends = epochs.groupby(["reclaim.tax", "vm"])["epoch"].max().groupby("reclaim.tax").min()
    return epochs[epochs["epoch"] < epochs["reclaim.tax"].map(ends)]  # a last epoch is cut short


def settled(epochs: pd.DataFrame, tax: float, column: str) -> dict[int, float]:
    """A column of each VM, averaged over the last epochs of a run."""
    rows = epochs[epochs["reclaim.tax"] == tax]
    last = rows[rows["epoch"] > rows["epoch"].max() - SETTLED]
    return {vm: float(last.loc[last["vm"] == vm, column].mean()) for vm in (IDLE, ACTIVE)}


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Shares of what the two VMs hold, and the active VM's speed."""
    epochs = over_time(frame)
    low, high = float(epochs["reclaim.tax"].min()), float(epochs["reclaim.tax"].max())
    held = {tax: settled(epochs, tax, "resident_pages") for tax in (low, high)}
    speed = {tax: settled(epochs, tax, "visits")[ACTIVE] for tax in (low, high)}
    return {
        "untaxed": held[low][IDLE] / sum(held[low].values()),
        "taxed": held[high][IDLE] / sum(held[high].values()),
        "ratio": held[high][IDLE] / held[high][ACTIVE],
        "speed": speed[high] / speed[low],
    }
