"""The table of a page: varied keys and chosen columns."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from memvirt.drawing.words import is_number, label, said, short, varied

#: What is shown of each VM, the first first; those that are nothing everywhere are left out.
CHOSEN = (
    "slowdown", "overhead", "slowdown_p50", "slowdown_p99", "slowdown_peak", "translation_share", "l1_tlb_mpki", "l2_tlb_mpki",
    "refs_per_walk_mean", "cycles_per_walk_mean", "walk_cycles_per_access", "vm_exits", "minor_faults", "major_faults",
    "swap_in_pages", "swap_out_pages", "balloon_pages", "saved_pages", "compressed_pages", "resident_pages", "remote_accesses",
    "pressure", "stall_ns", "first_stalled_epoch", "first_thrash_epoch", "cycles", "instructions", "accesses",
)  # fmt: skip
PLAIN = 8  #: of those that are there, how many the plain table has
MOST_ROWS, MOST_PLAIN = 10_000, 500
DIGITS = 6


def chosen(frame: pd.DataFrame) -> pd.DataFrame:
    """Varied keys, what tells VMs and replicates apart, the status if it differs, and the chosen columns of rows."""
    about = [name for name in ("replicate", "vm", "status") if name in frame and frame[name].nunique() > 1]
    measured = [name for name in CHOSEN if name in frame and frame[name].fillna(0).astype(bool).any()]
    return frame[[*varied(frame), *about, *measured]]


def sampled(frame: pd.DataFrame, most: int) -> pd.DataFrame:
    """As many rows as may be shown, at equal distances."""
    if len(frame) <= most:
        return frame
    return frame.iloc[np.linspace(0, len(frame) - 1, most).round().astype(int)]


def _cell(value: Any) -> Any:
    """A value as JSON has it; None where there is none."""
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return None
    if isinstance(value, (bool, np.bool_)):
        return said(bool(value))
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(f"{float(value):.{DIGITS}g}")
    return str(value)


def as_data(frame: pd.DataFrame) -> str:
    """Columns with their values as JSON that can stand in a page: nothing in it ends an element or begins one."""
    keys = set(varied(frame))
    shown = chosen(frame)
    columns = [
        {
            "name": name,
            "title": short(name) if name in keys or name in ("vm", "replicate", "status") else name.replace("_", " "),
            "tip": f"{name}: {label(name)}",
            "number": is_number(shown[name]),
            "values": [_cell(value) for value in shown[name].tolist()],
        }
        for name in map(str, shown)
    ]
    text = json.dumps(columns, separators=(",", ":"), allow_nan=False)
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def plain(frame: pd.DataFrame, most: int = MOST_PLAIN) -> dict[str, Any]:
    """A small table of texts: ``head`` with names and their explanations, ``rows``, and how many rows there are ``of``."""
    keys = set(varied(frame))
    shown = chosen(frame)
    measured = [name for name in shown if name in CHOSEN][:PLAIN]
    names = [name for name in shown if name in keys or name not in CHOSEN or name in measured]
    return texts(shown[names], most)


def texts(frame: pd.DataFrame, most: int) -> dict[str, Any]:
    """Rows as texts, the first ones if there are very many."""
    names = [str(name) for name in frame]
    head = [{"name": name.replace("_", " ") if name in CHOSEN else short(name), "tip": label(name)} for name in names]
    rows = [[_text(value) for value in row] for row in frame.head(most).itertuples(index=False, name=None)]
    return {"head": head, "rows": rows, "of": len(frame)}


def _text(value: Any) -> str:
    cell = _cell(value)
    if isinstance(cell, str) or cell is None:
        return cell or ""
    return f"{cell:,.4g}" if isinstance(cell, float) and abs(cell) < 10_000 else f"{round(cell):,}"
