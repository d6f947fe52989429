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


def pending(row: pd.Series, walk_cache: float) -> tuple[float, float]:
    """Cycles an access in the guest's dimension, and in the EPT's; ``walk_cache`` is what a hit of a page-walk cache takes."""
    hits = [walk_cache * float(row[f"pwc_hits_{each}"] / row["accesses"]) for each in ("guest", "host")]
    return look_ups(row) + references(row, GUEST) + hits[0], references(row, EPT) + hits[1]


def shown(near: pd.Series, far: pd.Series) -> float:
    """Share of walk cycles that the program waits for: of two rows with other memory latencies."""
    more = references(far, GUEST + EPT) - references(near, GUEST + EPT)
    return float((far["walk_cycles"] - near["walk_cycles"]) / far["accesses"] / more)


def walk_cache(near: pd.Series, far: pd.Series) -> float:
    """Cycles of a walk cache's hit: what references leave of a walk."""
    hits = (near["pwc_hits_guest"] + near["pwc_hits_host"]) / near["accesses"]
    return float((near["walk_cycles"] / near["accesses"] / shown(near, far) - references(near, GUEST + EPT)) / hits)
