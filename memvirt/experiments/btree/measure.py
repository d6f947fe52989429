"""Look-ups in a B+ tree, natively and in a VM: walks, and run times by where page tables are."""

from __future__ import annotations

import pandas as pd

from memvirt.experiments.pending import pending, shown

PLACES = "LRI"  #: tables local, remote, remote with interference
RUN = 591.8 / 310.4  #: the artifact's native run with local tables, in its walks


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Ratios of walks and of run times, by where the tables are (guest's first, EPT second)."""
    walks = {
        (row["mmu"], place): pending(row)
        for place, (_, part) in zip(PLACES, frame.groupby("cpu.memory"), strict=True)
        for _, row in part.iterrows()
    }
    native, waits = {place: walks["native", place][0] for place in PLACES}, shown(frame.iloc[0])
    alone = RUN * native["L"]
    time = alone + waits * (sum(walks["nested", "L"]) - native["L"])

    def tables(guest: str, ept: str) -> float:
        """Run time in a VM over that with all local."""
        local, first, second = (walks["nested", place] for place in ("L", guest, ept))
        return 1 + waits * (first[0] - local[0] + second[1] - local[1]) / time

    return {
        "BTree native walk remote": native["R"] / native["L"],
        "BTree native walk interference": native["I"] / native["L"],
        "BTree native time remote": 1 + waits * (native["R"] - native["L"]) / alone,
        "BTree native time interference": 1 + waits * (native["I"] - native["L"]) / alone,
        "BTree walk": sum(walks["nested", "L"]) / native["L"],
        "BTree time": time / alone,
        **{f"BTree {first}{second}": tables(first, second) for first, second in ("LR", "RL", "RR")},
        "BTree RRI": tables("I", "I"),
    }
