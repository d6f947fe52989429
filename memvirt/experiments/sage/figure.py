"""T1: shares of a walk's latency, published and simulated."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.compare import beside
from memvirt.experiments import claims
from memvirt.experiments.sage.measure import measure


def draw(frame: pd.DataFrame) -> Any:
    """Published beside simulated."""
    values, known = measure(frame), claims("sage")
    names = ["root", "level 3", "level 2", "leaf"]
    return beside(
        names, [float(claim.published) for claim in known], [values[claim.name] for claim in known], "share of a walk's latency (%)"
    )
