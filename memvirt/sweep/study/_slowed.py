"""By how much page lives are slowed, epoch by epoch, waits that nobody feels left out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from memvirt.result.rows import slowdowns

COLUMNS = ["cycles", "slowdown"]  #: of the epochs' table
MEASURES = {"slowdown_p99": "p99 epoch", "slowdown_peak": "peak"}


def felt(epochs: pd.DataFrame, unfelt: float) -> pd.DataFrame:
    """Let epochs count as not slowed in which a VM waits no longer than can be felt.

    Parameters
    ----------
    epochs : DataFrame
        With `COLUMNS`.
    unfelt : float
        Cycles.
    """
    alone = (epochs["cycles"] / epochs["slowdown"]).fillna(0.0)  # an infinite slowdown is an epoch of nothing but waits
    quiet = epochs["cycles"] - alone <= unfelt
    return epochs.assign(
        cycles=epochs["cycles"].where(~quiet, alone), slowdown=epochs["slowdown"].where(~quiet | (alone == 0), 1.0), alone=alone
    )


def slowed(epochs: pd.DataFrame, unfelt: float) -> pd.DataFrame:
    """Each VM's slowdown in its p99 epoch and in its worst ten in a row.

    Parameters
    ----------
    epochs : DataFrame
        ``number`` of a point, ``vm``, `COLUMNS`; ascending by these and by epoch.
    unfelt : float
        Cycles of an epoch's waits, up to which it counts as not slowed.

    Returns
    -------
    DataFrame
        Indexed by ``number`` and ``vm``, a column a measure.
    """
    found = {}
    for place, mine in felt(epochs, unfelt).groupby(["number", "vm"]):
        _, known = slowdowns(mine["cycles"].to_numpy(float)[np.newaxis], mine["alone"].to_numpy(float)[np.newaxis])
        found[place] = {name: float(known[column][0]) for column, name in MEASURES.items()}
    index = pd.MultiIndex.from_tuples(found, names=["number", "vm"])
    return pd.DataFrame(list(found.values()), index, list(MEASURES.values()))
