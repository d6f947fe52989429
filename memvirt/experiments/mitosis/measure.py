"""Figure 6 of Mitosis: share of a native run's cycles in walks, and run time, by where the page tables are."""

from __future__ import annotations

import pandas as pd

from memvirt.experiments.pending import pending


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Percent of cycles in walks, run times over the local one's, and 4K walks over 2M ones."""
    rows = {
        (row["guest.page_size"], place): row
        for place, (_, part) in zip("LRI", frame.groupby("cpu.memory"), strict=True)  # local, remote, remote with interference
        for _, row in part.iterrows()
    }
    local = {size: float(rows[size, "L"]["data_cycles"] / rows[size, "L"]["accesses"]) for size in ("4K", "2M")}
    walk = {key: pending(row)[0] for key, row in rows.items()}
    time = {key: float((row["cycles"] - row["data_cycles"]) / row["accesses"]) + local[key[0]] for key, row in rows.items()}
    share = {key: 100 * walk[key] / time[key] for key in rows}
    return {
        "Mitosis share local": share["4K", "L"],
        "Mitosis time remote": time["4K", "R"] / time["4K", "L"],
        "Mitosis time interference": time["4K", "I"] / time["4K", "L"],
        "Mitosis share remote": share["4K", "R"],
        "Mitosis share interference": share["4K", "I"],
        "Mitosis share 2M": share["2M", "L"],
        "Mitosis walk 4K over 2M": walk["4K", "L"] / walk["2M", "L"],
    }
