"""T6: references a walk, native and virtualized."""

from __future__ import annotations

import pandas as pd


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Mean over the mix, and the ratio of the two."""
    refs = (frame["walk_refs_guest"] + frame["walk_refs_host"]) / frame["walks"]
    mean = refs.groupby(frame["mmu"]).mean()
    return {"T6 native": mean["native"], "T6 virtualized": mean["nested"], "T6 ratio": mean["nested"] / mean["native"]}
