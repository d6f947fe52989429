"""T8: cycles under shadow and nested paging over the rate of page-table updates."""

from __future__ import annotations

import numpy as np
import pandas as pd

RATE = "page-table updates per 1000 accesses"


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """Cycles by rate and mode."""
    rated = frame.assign(**{RATE: 1000 / frame["workload.table_writes_every"]})
    return rated.pivot_table(index=RATE, columns="mmu", values="cycles").sort_index()


def crossover(cycles: pd.DataFrame) -> float:
    """Rate from which nested paging takes fewer cycles, between the rates simulated; NaN if the lines don't cross."""
    gap = (cycles["shadow"] - cycles["nested"]).to_numpy()
    rates = np.log(cycles.index.to_numpy(float))
    places = np.flatnonzero((gap[:-1] <= 0) & (gap[1:] > 0))
    if not places.size:
        return float("nan")
    at = int(places[0])
    return float(np.exp(rates[at] + (rates[at + 1] - rates[at]) * -gap[at] / (gap[at + 1] - gap[at])))


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """What the better of the two gains where it gains most, and the rate at which they are even."""
    cycles = table(frame)
    ratio = cycles["nested"] / cycles["shadow"]
    return {
        "T8 few updates": ratio.iloc[0],
        "T8 many updates": 1 / ratio.iloc[-1],
        "T8 gap": 100 * (max(ratio.iloc[0], 1 / ratio.iloc[-1]) - 1),
        "T8 crossover": crossover(cycles),
    }
