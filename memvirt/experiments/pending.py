"""Walk cycles as the counters of Intel's cores have them, from a row of results.

`dtlb_load_misses.walk_pending` (Skylake and later; `walk_duration` before) counts the cycles in which a page miss handler is busy
for a load. It leaves out EPT walks, which `ept.walk_pending` counts, for loads and stores together. It holds the L2 TLB's look-up
before the walk: Intel's own metric of the time that loads lose to TLB misses (`tma_dtlb_load` of Linux' perf,
tools/perf/pmu-events/arch/x86) adds a look-up to hits alone on Haswell, Skylake and Cascade Lake, where a miss is to cost what this
counter says; on Broadwell, whose counter leaves it out, it adds 7 cycles for each walk. That this is the look-up is inferred.

The model has one walk a miss, which the first access begins, a load; walks that stores begin meanwhile are not in it.
"""

from __future__ import annotations

import pandas as pd

GUEST, EPT = ("guest",), ("host", "data")
LEVELS = range(1, 6)


def references(row: pd.Series, where: tuple[str, ...]) -> float:
    """Cycles an access of what walks read for some purposes, one reference after the other."""
    return float(sum(row[f"walk_cycles_{each}_l{level}"] for each in where for level in LEVELS) / row["accesses"])


def look_ups(row: pd.Series) -> float:
    """Cycles an access of the L2 TLB's look-ups that walks follow."""
    return float(row["tlb_cycles"] / row["l1_tlb_misses"] * row["walks"] / row["accesses"])


def pending(row: pd.Series) -> tuple[float, float]:
    """Cycles an access in the guest's dimension, and in the EPT's; a walk cache's look-up takes what references leave of a walk."""
    looked = [float(row[f"pwc_lookups_{each}"] / row["accesses"]) for each in ("guest", "host")]
    guest, ept = references(row, GUEST), references(row, EPT)
    each = (float(row["walk_pending_cycles"] / row["accesses"]) - guest - ept) / max(sum(looked), 1e-9)
    return look_ups(row) + guest + each * looked[0], ept + each * looked[1]


def shown(row: pd.Series) -> float:
    """Share of walk cycles that the program waits for."""
    return float(row["walk_cycles"] / row["walk_pending_cycles"])
