"""References of a walk under every mode, 4K pages."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.compare import beside
from memvirt.experiments import claims
from memvirt.experiments.walk_references.measure import measure


def draw(frame: pd.DataFrame) -> Any:
    """Published beside simulated, for the modes at 4K over 4K."""
    values = measure(frame)
    shown = [claim for claim in claims("walk_references") if claim.name.endswith("4K/4K 4+4") and claim.name in values]
    labels = [claim.name.split()[0].replace("_", "\n") for claim in shown]
    return beside(
        labels,
        [float(claim.published) for claim in shown],
        [values[claim.name] for claim in shown],
        "references of a walk (ecpt: steps)",
    )
