"""T9: cycles under agile paging against the better of shadow and nested."""

from __future__ import annotations

import pandas as pd

PROGRAM = ["workload", "workload.table_writes_every", "workload.table_write_share"]
#: Cycles of a switch: the exit and a table synchronized (cpu/skylake.yaml), and what it takes to see that it pays: a trapped
#: write and the fault after it.
SWITCH = 3050 + 1250 + 2 * 3050


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """Cycles by program and mode, and what agile's switches cost."""
    cycles = frame.pivot_table(index=PROGRAM, columns="mmu", values="cycles")
    switches = frame[frame["mmu"] == "agile"].set_index(PROGRAM)["vm_exits_mode_switch"]
    return cycles.assign(better=cycles[["shadow", "nested"]].min(axis=1), switches=switches * SWITCH)


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Worst case against the better one with the switches' cost, and the best against both on mixed work."""
    cycles = table(frame)
    worst = (cycles["agile"] / (cycles["better"] + cycles["switches"])).max()
    mixed = cycles.reset_index()
    mixed = mixed[(mixed["workload.table_write_share"] < 1) & (mixed["workload.table_writes_every"] == 50)]
    return {"T9 every program": float(worst), "T9 mixed": float((mixed["agile"] / mixed["better"]).min())}
