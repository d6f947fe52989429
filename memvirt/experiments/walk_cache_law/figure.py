"""References a walk over the footprint, expected and simulated."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.compare import beside
from memvirt.experiments import claims
from memvirt.experiments.walk_cache_law.measure import measure


def draw(frame: pd.DataFrame) -> Any:
    """Expected beside simulated."""
    values = measure(frame)
    known = [claim for claim in claims("walk_cache_law") if claim.name in values]
    return beside(
        [claim.name for claim in known],
        [float(claim.published) for claim in known],
        [values[claim.name] for claim in known],
        "references of a walk",
    )
