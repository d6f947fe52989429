"""T2 to T5: walk cycles and run time of native and virtualized GUPS, 4K and 2M."""

from __future__ import annotations

import pandas as pd

LEVELS = range(1, 6)


def walk_cycles(row: pd.Series, where: tuple[str, ...]) -> float:
    """Cycles a touch of walks' references, one after the other, read for some purposes."""
    return float(sum(row[f"walk_cycles_{each}_l{level}"] for each in where for level in LEVELS) / row["accesses"])


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Ratios, and the two dimensions against each other."""
    rows = {(row["mmu"], row["guest.page_size"]): row for _, row in frame.iterrows()}
    walk = {key: walk_cycles(row, ("guest", "host", "data")) for key, row in rows.items()}
    time = {key: row["cycles"] / row["accesses"] for key, row in rows.items()}
    virtual = rows["nested", "4K"]
    return {
        "T2 native walk": walk["native", "4K"],
        "T2 native time": time["native", "4K"],
        "T2 walk": walk["nested", "4K"] / walk["native", "4K"],
        "T2 time": time["nested", "4K"] / time["native", "4K"],
        "T3 walk": walk["nested", "2M"] / walk["native", "2M"],
        "T3 time": time["nested", "2M"] / time["native", "2M"],
        "T4 native": time["native", "4K"] / time["native", "2M"],
        "T4 virtualized": time["nested", "4K"] / time["nested", "2M"],
        "T5": walk_cycles(virtual, ("host", "data")) / walk_cycles(virtual, ("guest",)),
    }
