"""What page lives touch within a minute, two and ten, as a share of their memory."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from memvirt.config import parse_time_ns
from memvirt.result.table import read_results

#: The experiment's VMs, in order.
VMS = (
    "idle",
    "desktop",
    "desktop, nobody works",
    "web server",
    "web server, off-peak",
    "database",
    "batch",
    "in-memory cache",
)
MEMORY = 8 << 18  #: pages of each
SERVERS = ("web server", "database", "batch", "in-memory cache")


def touched(frame: pd.DataFrame) -> pd.DataFrame:
    """Share of its memory that a VM touches, a row a VM, a column a window (s): the mean over windows one after the other.

    A window that the run's end cuts short is left out.
    """
    epochs = read_results(Path(frame.attrs["folder"]) / "epochs.parquet")
    epochs["window"] = epochs["epoch.time"].map(parse_time_ns) / 1e9
    last = epochs.groupby("window")["epoch"].transform("max")
    whole = epochs[epochs["epoch"] < last]
    found = whole.groupby(["vm", "window"])["active_pages"].mean().unstack()
    return (found / MEMORY).set_axis(list(VMS))


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """What sources speak of; the mean of servers' memory that was touched once and isn't within two minutes."""
    found = touched(frame)
    minutes_10, minutes_2 = found[600.0], found[120.0]
    held = frame.groupby("vm")["resident_pages"].mean().set_axis(found.index) / MEMORY
    cold = (1 - minutes_2 / held)[list(SERVERS)]
    return {
        "idle": float(minutes_10["idle"]),
        "desktop": float(minutes_10["desktop, nobody works"]),
        "web server": float(minutes_10["web server, off-peak"]),
        "cold servers": float(cold.mean()),
    }
