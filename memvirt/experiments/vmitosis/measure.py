"""T2 to T5: walk cycles and run time of native and virtualized GUPS, 4K and 2M, and by where the tables are."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from memvirt.experiments.pending import pending, shown

#: Memory that holds tables: local, remote, remote with interference by the native walk, and by the native run's time.
PLACES = "LRIT"


class Run(NamedTuple):
    """Cycles a touch: walks in the guest's dimension and the EPT's, all, and those without the data's."""

    guest: float
    ept: float
    time: float
    fixed: float

    @property
    def walk(self) -> float:
        """Of both dimensions."""
        return self.guest + self.ept


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Walks by dimension, ratios of walks and of run times, and run times by where the tables are (guest's first, EPT second)."""
    rows = {
        (row["mmu"], row["guest.page_size"], row["guest.table_area"], place): row
        for place, (_, part) in zip(PLACES, frame.groupby("cpu.memory"), strict=True)
        for _, row in part.iterrows()
    }
    waits = shown(rows["native", "4K", "blocks", "L"])
    run = {
        key: Run(
            *pending(row), *(float(cycles / row["accesses"]) for cycles in (row["cycles"], row["cycles"] - row["data_cycles"]))
        )
        for key, row in rows.items()
    }
    native, large = ({place: run["native", size, "blocks", place] for place in PLACES} for size in ("4K", "2M"))
    blocks, whole = ({place: run["nested", "4K", area, place] for place in PLACES} for area in ("blocks", "range"))
    huge = {place: run["nested", "2M", "blocks", place] for place in PLACES}

    def tables(guest: str, ept: str, of: dict[str, Run] = blocks) -> float:
        """Run time with the guest's tables in one place, the host's in another, and data local, over all local."""
        more = of[guest].guest - of["L"].guest + of[ept].ept - of["L"].ept
        return 1 + waits * more / of["L"].time

    return {
        "T2 native walk": native["L"].walk,
        "T2 native walk remote": native["R"].walk,
        "T2 native walk interference": native["I"].walk,
        "T2 native time": native["L"].time,
        "T2 native time remote": native["L"].time + native["R"].fixed - native["L"].fixed,
        "T2 native time interference": native["L"].time + native["I"].fixed - native["L"].fixed,
        "T2 guest": blocks["L"].guest,
        "T2 EPT": blocks["L"].ept,
        "T2 walk": blocks["L"].walk / native["L"].walk,
        "T2 walk with stores": blocks["L"].walk / native["L"].walk,
        "T2 time": blocks["L"].time / native["L"].time,
        "T3 native walk": large["L"].walk,
        "T3 guest": huge["L"].guest,
        "T3 EPT": huge["L"].ept,
        "T3 EPT over guest": huge["L"].ept / huge["L"].guest,
        "T3 walk": huge["L"].walk / large["L"].walk,
        "T3 walk with stores": huge["L"].walk / large["L"].walk,
        "T3 time": huge["L"].time / large["L"].time,
        "T4 native": native["L"].time / large["L"].time,
        "T4 virtualized": blocks["L"].time / huge["L"].time,
        "T5 blocks": blocks["L"].ept / blocks["L"].guest,
        "T5 range": whole["L"].ept / whole["L"].guest,
        **{f"NUMA {first}{second}": tables(first, second) for first, second in ("LR", "RL", "RR")},
        **{
            f"NUMA {first}{second}I": tables(first.replace("R", "T"), second.replace("R", "T"))
            for first, second in ("LR", "RL", "RR")
        },
        "NUMA native time interference": native["L"].time + native["T"].fixed - native["L"].fixed,
        "NUMA 2M RRI": tables("T", "T", huge),
    }
