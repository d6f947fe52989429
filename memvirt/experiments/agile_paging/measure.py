"""T9: cycles under agile paging against the better of shadow and nested."""

from __future__ import annotations

import pandas as pd

PROGRAM = ["workload", "workload.table_writes_every", "workload.table_write_share"]
#: Cycles (cpu/skylake.yaml) and references (mmu/agile.yaml) of switches.
EXIT, RESYNC, RETURN_WORTH = 3050, 1250, 300


def switching(agile: pd.DataFrame) -> pd.Series:
    """Cycles that agile's switches cost.

    Each is an exit. On the way there, the trapped write and the fault after it show that it pays; on the way back, `RETURN_WORTH`
    references of the host's do, and a table is synchronized.
    """
    levels = [f"walk_cycles_{where}_l{level}" for where in ("host", "data") for level in range(1, 6)]
    waited = agile["walk_cycles"] / agile["walk_pending_cycles"].clip(lower=1)
    reference = waited * agile[levels].sum(axis=1) / agile["walk_refs_host"].clip(lower=1)
    there, back = EXIT + 2 * EXIT, EXIT + RESYNC + RETURN_WORTH * reference
    return agile["vm_exits_mode_switch"] * (there + back) / 2


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """Cycles by program and mode, and what agile's switches cost."""
    cycles = frame.pivot_table(index=PROGRAM, columns="mmu", values="cycles")
    switches = switching(frame[frame["mmu"] == "agile"].set_index(PROGRAM))
    return cycles.assign(better=cycles[["shadow", "nested"]].min(axis=1), switches=switches)


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Worst case against the better one with the switches' cost, and the best against both on mixed work."""
    cycles = table(frame)
    worst = (cycles["agile"] / (cycles["better"] + cycles["switches"])).max()
    mixed = cycles.reset_index()
    mixed = mixed[(mixed["workload.table_write_share"] < 1) & (mixed["workload.table_writes_every"] == 50)]
    return {"T9 every program": float(worst), "T9 mixed": float((mixed["agile"] / mixed["better"]).min())}
