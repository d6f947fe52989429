"""T8: cycles under shadow and nested paging over the rate of guest page faults."""

from __future__ import annotations

import numpy as np
import pandas as pd

FAULTS = "guest page faults per 1000 instructions"
MISSES = "TLB misses per 1000 instructions"
GAP = "nested over shadow (%)"


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """Rates of faults and TLB misses, and what nested paging takes beyond shadow paging, by program and rate."""
    program = ["workload", "workload.remap_every"]
    shadow, nested = (frame[frame["mmu"] == mode].set_index(program) for mode in ("shadow", "nested"))
    rows = pd.DataFrame(
        {
            FAULTS: 1000 * nested["minor_faults"] / nested["instructions"],
            MISSES: 1000 * nested["l2_tlb_misses"] / nested["instructions"],
            GAP: 100 * (nested["cycles"] / shadow["cycles"] - 1),
        }
    )
    return rows.reset_index().sort_values(["workload", FAULTS])


def crossover(rows: pd.DataFrame) -> float:
    """Rate of faults from which nested paging takes fewer cycles, of one program; NaN if it does so everywhere, or nowhere."""
    gap, rates = rows[GAP].to_numpy(), np.log(rows[FAULTS].to_numpy(float))
    places = np.flatnonzero((gap[:-1] >= 0) & (gap[1:] < 0))
    if not places.size:
        return float("nan")
    at = int(places[0])
    return float(np.exp(rates[at] + (rates[at + 1] - rates[at]) * gap[at] / (gap[at] - gap[at + 1])))


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Both directions, the widest gap, that without the program that was added last, and where the two are even.

    Even: of those programs that cross, the one with most TLB misses.
    """
    rows = table(frame)
    slower = 100 * ((1 + rows[GAP].abs() / 100).where(rows[GAP] >= 0, 1 / (1 + rows[GAP] / 100)) - 1)
    recorded = slower[rows["workload"] != "zipf"]
    crossed = [crossover(rows[rows["workload"] == program]) for program in rows.sort_values(MISSES)["workload"].unique()]
    values = {
        "T8 few faults": float(rows[GAP].max()),
        "T8 many faults": float(-rows[GAP].min()),
        "T8 gap": float(slower.max()),
        "T8 crossover": next((even for even in reversed(crossed) if even == even), float("nan")),
    }
    return values | ({"T8 gap recorded": float(recorded.max())} if recorded.size else {})
