"""T10: published ratios beside simulated ones."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.compare import beside
from memvirt.experiments import claims
from memvirt.experiments.mode_ratios.measure import measure


def draw(frame: pd.DataFrame) -> Any:
    """Published beside simulated."""
    values = measure(frame)
    known = [claim for claim in claims("mode_ratios") if claim.name in values]
    names = [claim.name.removeprefix("T10 ") for claim in known]
    return beside(
        names,
        [float(claim.published) for claim in known],
        [values[claim.name] for claim in known],
        "nested over mode, cycles of a walk",
    )
