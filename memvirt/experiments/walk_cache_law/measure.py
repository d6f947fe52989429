"""References a walk by footprint."""

from __future__ import annotations

import pandas as pd


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Mean references of a walk."""
    return {str(row["workload.footprint"]): row["walk_refs_guest"] / row["walks"] for row in frame.to_dict("records")}
