"""T7: what each step of two-dimensional walk caching gains."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

STEPS = ("none", "1-D", "2-D", "2-D + nested TLB", "+ 2M host pages")


def designs(frame: pd.DataFrame) -> pd.Series:
    """Which step each row is."""
    step = frame["mmu.pwc.enabled"].astype(int) + (frame["mmu.pwc.dimensions"] == 2)
    step = step + (frame["mmu.nested_tlb.entries"] > 0) + (frame["host.page_size"] == "2M")
    return step.map(dict(enumerate(STEPS)))


def speed(frame: pd.DataFrame) -> pd.DataFrame:
    """Cycles of no walk cache over cycles of each step, by program."""
    cycles = frame.assign(step=designs(frame)).pivot_table(index="workload", columns="step", values="cycles")
    return pd.DataFrame(cycles[["none"]].to_numpy() / cycles[list(STEPS)])


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Geometric means over the programs: each step against the one before, and two dimensions against none."""
    mean = np.exp(np.log(speed(frame)).mean())
    found = {f"T7 {step}": mean[step] / mean[before] for before, step in pairwise(STEPS)}
    return found | {"T7 2-D over none": 100 * (mean["2-D"] - 1)}
