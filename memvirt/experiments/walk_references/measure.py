"""References of a walk; each claim is a mode, page sizes and levels."""

from __future__ import annotations

import pandas as pd

MEMORY = 200  #: cycles of a reference, which all come from memory (`cpu=generic`)


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Mean references of a walk; of `ecpt` the steps of the median walk, for the first, of unknown sizes, takes more turns."""
    found = {}
    for row in frame.to_dict("records"):
        name = f"{row['mmu']} {row['guest.page_size']}/{row['host.page_size']} {row['guest.levels']}+{row['host.levels']}"
        walks = row["walks"]
        found[name] = (row["walk_refs_guest"] + row["walk_refs_host"]) / walks if walks else 0.0
        if row["mmu"] == "ecpt":
            found[name] = row["cycles_per_walk_p50"] // MEMORY  # hashes take less than a reference
    return found
