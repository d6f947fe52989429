"""How many epochs ahead of the first in which a VM is stalled each signal warned; as a host's monitor sees it: of any VM."""

from __future__ import annotations

import pandas as pd

from memvirt.result.monitor import SIGNALS


def leads(frame: pd.DataFrame) -> pd.DataFrame:
    """Epochs ahead, a row a signal, a column a policy; NaN for one that gave no warning before a VM was stalled."""
    found = {}
    for policy, rows in frame.groupby("reclaim", sort=False):
        end = rows["first_stalled_epoch"].min()
        ahead = end - pd.Series({name: rows[f"alarm_{name}"].min() for name in SIGNALS}, dtype=float)
        found[str(policy)] = ahead.where(ahead >= 0)
    return pd.DataFrame(found)


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """The first epoch in which a VM is stalled, under each policy, and how far ahead of it each signal warned."""
    ends = frame.groupby("reclaim")["first_stalled_epoch"].min()
    found = {f"{policy} stalled": float(end) for policy, end in ends.items() if pd.notna(end)}
    table = leads(frame)
    for policy in table:
        found |= {f"{policy} {name}": float(ahead) for name, ahead in table[policy].items() if pd.notna(ahead)}
        if table[policy][["host_free", "pressure"]].notna().all():
            found[f"{policy} free before pressure"] = float(table[policy]["host_free"] - table[policy]["pressure"])
    return found
