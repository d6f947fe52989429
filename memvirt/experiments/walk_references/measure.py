"""References of a walk; each claim is a mode, page sizes and levels."""

from __future__ import annotations

import pandas as pd


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Mean references of a walk, and of `ecpt` its steps, one after the other."""
    found = {}
    for row in frame.to_dict("records"):
        name = f"{row['mmu']} {row['guest.page_size']}/{row['host.page_size']} {row['guest.levels']}+{row['host.levels']}"
        walks = row["walks"]
        steps = row["walk_steps"] if row["mmu"] == "ecpt" else row["walk_refs_guest"] + row["walk_refs_host"]
        found[name] = steps / walks if walks else 0.0
    return found
