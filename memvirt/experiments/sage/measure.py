"""T1: shares of a walk's latency that the four entries of its last host walk take."""

from __future__ import annotations

import pandas as pd


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Percent of all walk cycles, root (level 4) to leaf."""
    return {
        f"T1 level {level}": float(100 * frame[f"walk_cycles_data_l{level}"].sum() / frame["walk_pending_cycles"].sum())
        for level in (4, 3, 2, 1)
    }
