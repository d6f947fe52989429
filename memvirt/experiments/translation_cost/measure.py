"""What translation costs an access, by mode."""

from __future__ import annotations

import pandas as pd

from memvirt.config import parse_size

COST = "translation cycles per access"


def costs(frame: pd.DataFrame) -> pd.Series:
    """Cycles of TLB hits beyond the first level, walks and exits, per access."""
    return (frame["tlb_cycles"] + frame["walk_cycles"] + frame["exit_cycles"]) / frame["accesses"]


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Orders that hold at the largest footprint of uniform accesses, 4K pages."""
    big = frame[(frame["workload"] == "uniform") & (frame["guest.page_size"] == "4K")]
    sizes = big["workload.footprint"].map(parse_size)
    big = big[sizes == sizes.max()]
    cost = costs(big).groupby(big["mmu"]).mean()
    return {
        "nested over native": cost["nested"] / cost["native"],
        "nested2 over nested": cost["nested2"] / cost["nested"],
        "nested over flattened": cost["nested"] / cost["flattened"],
        "nested over dmt": cost["nested"] / cost["dmt"],
    }
