"""T6, T11: references a walk by program."""

from __future__ import annotations

from typing import Any

import pandas as pd

from memvirt.figures import draw as draw_kind


def draw(frame: pd.DataFrame) -> Any:
    """Bars by program and mode."""
    if "host.levels" in frame:
        frame = frame.assign(mmu=frame["mmu"].where(frame["host.levels"] != 0, frame["mmu"] + ", native"))
    frame = frame.assign(**{"references of a walk": (frame["walk_refs_guest"] + frame["walk_refs_host"]) / frame["walks"]})
    return draw_kind(frame, "bar", "workload", "references of a walk", "mmu")
