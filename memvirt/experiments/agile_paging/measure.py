"""T9: cycles under agile paging against the better of shadow and nested."""

from __future__ import annotations

import pandas as pd

PROGRAM = ["workload", "workload.table_writes_every", "workload.table_write_share"]
#: Cycles (cpu/generic.yaml): a switch, a trapped write or a hidden fault; an INVLPG; a resync. Writes that move a table.
EXIT, INVLPG, RESYNC, THRESHOLD = 3050, 1800, 1250, 2


def switching(agile: pd.DataFrame) -> pd.Series:
    """Cycles that agile's switches cost: the exit, and the trapped writes with their faults and INVLPGs that bring it about."""
    return agile["vm_exits_mode_switch"] * (EXIT + THRESHOLD * (2 * EXIT + INVLPG)) + RESYNC * agile["resyncs"]


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """Cycles by program and mode, and what agile's switches cost."""
    cycles = frame.pivot_table(index=PROGRAM, columns="mmu", values="cycles")
    switches = switching(frame[frame["mmu"] == "agile"].set_index(PROGRAM))
    return cycles.assign(better=cycles[["shadow", "nested"]].min(axis=1), switches=switches)


def kinds(cycles: pd.DataFrame) -> pd.Series:
    """What each program's page-table writes are like: none; ``mixed``, all in a few tables; ``thin``, over all of them."""
    program = cycles.index.to_frame()
    few = (program[PROGRAM[2]] < 1).map({True: "mixed", False: "thin"})
    return few.where(program[PROGRAM[1]] > 0, "none")


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Worst case against the better one with the switches' cost, by kind of program, and the best against both on mixed work."""
    cycles = table(frame)
    kind = kinds(cycles)
    worst = cycles["agile"] / (cycles["better"] + cycles["switches"])
    rate = cycles.index.to_frame()[PROGRAM[1]]
    often = (kind == "mixed") & (rate == rate[kind == "mixed"].min())
    found = {
        "T9 every program": worst.max(),
        "T9 no writes": worst[kind == "none"].max(),
        "T9 writes in few tables": worst[kind == "mixed"].max(),
        "T9 writes in all tables": worst[kind == "thin"].max(),
        "T9 mixed": (cycles["agile"] / cycles["better"])[often].min(),
    }
    return {name: float(value) for name, value in found.items() if value == value}
