"""T2 to T5: walk cycles, and ratios, published and simulated."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.drawing.compare import pairs
from memvirt.drawing.style import subplots, use
from memvirt.experiments import claims
from memvirt.experiments.vmitosis.measure import measure

CYCLES = 20.0  #: a published number above is one of cycles a touch


def draw(frame: pd.DataFrame) -> Any:
    """Cycles above, ratios below, each published beside simulated; without the calibrated rows."""
    values = measure(frame)
    known = [claim for claim in claims("vmitosis") if claim.tolerance != "calibrated"]
    use()
    figure, (above, below) = subplots(2, figsize=(14, 6.8))
    for axes, large, what in ((above, True, "cycles a touch"), (below, False, "ratio")):
        part = [claim for claim in known if (float(claim.published) > CYCLES) == large]
        labels = [claim.name.replace(" ", "\n") for claim in part]
        pairs(axes, labels, [float(claim.published) for claim in part], [values[claim.name] for claim in part], what)
    above.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return figure
