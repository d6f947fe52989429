"""Look-ups in a B+ tree: ratios, published beside simulated."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.compare import pairs
from memvirt.drawing.style import subplots, use
from memvirt.experiments import claims
from memvirt.experiments.btree.measure import measure


def draw(frame: pd.DataFrame) -> Any:
    """All ratios that weren't calibrated."""
    values = measure(frame)
    known = [claim for claim in claims("btree") if claim.tolerance != "calibrated"]
    use()
    figure, axes = subplots(figsize=(9, 3.6))
    labels = [claim.name.removeprefix("BTree ").replace(" ", "\n") for claim in known]
    pairs(axes, labels, [float(claim.published) for claim in known], [values[claim.name] for claim in known], "ratio")
    axes.legend(loc="upper right", bbox_to_anchor=(1, 1.17), ncols=2)
    return figure
