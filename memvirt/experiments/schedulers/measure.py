"""Run time under a scheduler that is blind to memory, over that under one that isn't."""

from __future__ import annotations

import pandas as pd

PROGRAMS = ("sqlite", "gcc", "cpython", "zipf", "uniform", "stream", "pointer_chase", "gups", "btree")
PLACEMENTS = {"first_touch": "skewed", "interleave": "even"}


def slowdowns(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean, least and most of the VMs' slowdown by program, placement and scheduler."""
    return frame.groupby(["workload", "numa.placement", "numa.scheduler"])["slowdown"].agg(["mean", "min", "max"])


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Of each program: `naive` over `numa_aware` where memory is skewed, and the other way round where it isn't."""
    found, numbers = slowdowns(frame)["mean"], {}
    for program in PROGRAMS:
        for placement, what in PLACEMENTS.items():
            if (program, placement, "naive") not in found.index:
                continue
            naive, aware = (float(found[program, placement, each]) for each in ("naive", "numa_aware"))
            numbers[f"schedulers {what} {program}"] = naive / aware if what == "skewed" else aware / naive
    return numbers
