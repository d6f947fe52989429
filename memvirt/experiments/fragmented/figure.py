"""GUPS in a guest of fragmented memory: run time by where tables are, published beside simulated."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.compare import pairs
from memvirt.drawing.style import subplots, use
from memvirt.experiments import claims
from memvirt.experiments.fragmented.measure import measure

LABELS = {
    "frag LRI": "EPT remote",
    "frag RLI": "guest's tables\nremote",
    "frag RLI, its own state": "guest's tables\nremote, own state",
    "frag RRI": "both remote",
    "frag RRI, its own state": "both remote,\nown state",
}


def draw(frame: pd.DataFrame) -> Any:
    """Run times over that with all local."""
    values, published = measure(frame), {claim.name: float(claim.published) for claim in claims("fragmented")}
    use()
    figure, axes = subplots(figsize=(8, 3.6))
    pairs(
        axes,
        list(LABELS.values()),
        [published[name] for name in LABELS],
        [values[name] for name in LABELS],
        "run time (all local: 1)",
    )
    axes.legend(loc="upper left")
    return figure
