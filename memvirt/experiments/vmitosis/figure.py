"""T2 to T5: ratios, published and simulated."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.compare import beside
from memvirt.experiments import claims
from memvirt.experiments.vmitosis.measure import measure


def draw(frame: pd.DataFrame) -> Any:
    """Published beside simulated, without the calibrated rows."""
    values = measure(frame)
    known = [claim for claim in claims("vmitosis") if claim.tolerance != "calibrated"]
    labels = [claim.name.replace(" ", "\n") for claim in known]
    return beside(labels, [float(claim.published) for claim in known], [values[claim.name] for claim in known], "ratio")
