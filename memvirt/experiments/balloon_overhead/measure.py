"""Run time of ballooned VMs and of VMs that were given the size."""

from __future__ import annotations

import pandas as pd

WHOLE = "64MiB"


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """Cycles by size, ballooned and given."""
    ballooned = frame["vms.memory"] == WHOLE
    size = frame["overcommit.host_memory"].where(ballooned, frame["vms.memory"])
    rows = frame.assign(size=size.str.removesuffix("MiB").astype(int), how=ballooned.map({True: "ballooned", False: "given"}))
    return rows.pivot_table(index="size", columns="how", values="cycles").sort_index()


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """How much slower the ballooned VM is, in per cent, where it is least and most."""
    cycles = table(frame)
    slower = 100 * (cycles["ballooned"] / cycles["given"] - 1)
    return {"O1 least": slower.min(), "O1 most": slower.max()}
