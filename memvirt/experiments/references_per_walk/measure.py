"""T6 and T11: references a walk, native and virtualized, and with flattened tables."""

from __future__ import annotations

import pandas as pd


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Means over the mix, and their ratios; tables over an identity host (`host.levels=0`) are a native program's."""
    frame = frame.assign(levels=frame.get("host.levels", 4))
    refs = (frame["walk_refs_guest"] + frame["walk_refs_host"]) / frame["walks"]
    mean = refs.groupby([frame["mmu"], frame["levels"]]).mean()
    native, nested = mean["native"].iloc[0], mean["nested"].iloc[-1]
    found = {"T6 native": native, "T6 virtualized": nested, "T6 ratio": nested / native}
    if ("flattened", 0) in mean:
        found["T11 native"] = mean["flattened", 0] / native
    if ("flattened", 4) in mean:
        found["T11 virtualized"] = mean["flattened", 4] / nested
    return found
