"""T10: walk latency of nested paging over that of modes that shorten walks."""

from __future__ import annotations

import pandas as pd

NAMES = {"flattened": "T10 FPT", "ecpt": "T10 ECPT", "dmt": "T10 DMT"}


def latency(frame: pd.DataFrame) -> pd.Series:
    """Cycles of a walk by mode."""
    cycles: pd.Series = (frame["walk_pending_cycles"] / frame["walks"]).groupby(frame["mmu"]).mean()
    return cycles


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Nested over each mode."""
    cycles = latency(frame)
    return {name: float(cycles["nested"] / cycles[mode]) for mode, name in NAMES.items() if mode in cycles}


def remarks(frame: pd.DataFrame) -> str:
    """What a walk is made of in each mode: references, those one after the other, and how many come from memory."""
    counts = frame.groupby("mmu")[
        ["walks", "walk_refs_guest", "walk_refs_host", "walk_steps", "walk_refs_in_memory", "walk_pending_cycles"]
    ].sum()
    a_walk = counts.div(counts["walks"], axis=0)
    return "\n".join(
        f"{mode}: {row.walk_refs_guest + row.walk_refs_host:.2f} references a walk, {row.walk_steps:.2f} one after the other, "
        f"{row.walk_refs_in_memory:.2f} from memory, {row.walk_pending_cycles:.1f} cycles"
        for mode, row in a_walk.iterrows()
    )
