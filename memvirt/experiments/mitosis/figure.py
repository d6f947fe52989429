"""Figure 6 of Mitosis, published and simulated."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.compare import beside
from memvirt.experiments import claims
from memvirt.experiments.mitosis.measure import measure


def draw(frame: pd.DataFrame) -> Any:
    """Shares of cycles in walks, published beside simulated."""
    values = measure(frame)
    known = [claim for claim in claims("mitosis") if "share" in claim.name]
    labels = [
        claim.name.removeprefix("Mitosis share ") + ("\n(calibrated)" if claim.tolerance == "calibrated" else "") for claim in known
    ]
    published, simulated = [float(claim.published) for claim in known], [values[claim.name] for claim in known]
    return beside(labels, published, simulated, "share of cycles in walks (%)")
