"""Of a mix beyond its cliff: what the worst VM waited for, and which signal had said so, how long before."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from memvirt.result.monitor import SIGNALS

#: What a VM waits for: the counter, which of a point's times one of it takes, and what that says has run out.
WAITS = {
    "major_faults": ("read_latency", "host memory: pages came back from the host's swap"),
    "guest_major_faults": ("read_latency", "the guest's memory: it came back from the guest's own swap"),
    "decompressions": ("decompress", "host memory: pages came back from the compressed cache"),
    "cow_breaks": ("cow_break", "pages that stay equal: merged ones were written and copied"),
}
NOTHING = "CPU time: no page had to be waited for"
COLUMNS = ["slowdown", *WAITS, *dict.fromkeys(signal.column for signal in SIGNALS.values())]


class Hindsight(NamedTuple):
    """What is known of a cliff.

    Attributes
    ----------
    ran_out : str
    signal : str
        That kept still at the highest safe ratio and had warned first; empty if none did.
    seconds : float, optional
        How long before the first epoch beyond the limit.
    """

    ran_out: str
    signal: str
    seconds: float | None


def ran_out(bad: pd.DataFrame, times: dict[str, float]) -> str:
    """Say what a VM's worst epochs waited for.

    Parameters
    ----------
    bad : DataFrame
        Its epochs beyond the limit.
    times : dict of float
        ``read_latency``, ``decompress`` and ``cow_break`` (ns).
    """
    waited = {name: float(bad[name].sum()) * times[of] for name, (of, _) in WAITS.items()}
    most = max(waited, key=lambda name: waited[name])
    return WAITS[most][1] if waited[most] > 0 else NOTHING


def look_back(
    failed: pd.DataFrame, safe: pd.DataFrame | None, vm: int, limit: float, epoch_seconds: float, times: dict[str, float]
) -> Hindsight:
    """Look back from the first epoch in which a VM is slowed beyond the limit.

    Parameters
    ----------
    failed, safe : DataFrame
        Epochs of the point that failed, and of the one at the highest safe ratio: ``vm``, ``epoch`` and `COLUMNS`.
    vm : int
        The one that is worst off.
    limit : float
        Slowdown of an epoch, beyond which it is too slow.
    epoch_seconds : float
    times : dict of float
        As `ran_out` needs them.
    """
    mine = failed[failed["vm"] == vm].sort_values("epoch")
    bad = mine[mine["slowdown"] > limit]
    if bad.empty:
        return Hindsight(NOTHING, "", None)
    fell = int(bad["epoch"].iloc[0])
    found: dict[str, int] = {}
    for name, signal in SIGNALS.items():
        if safe is not None and signal.passed(safe[signal.column].to_numpy(float)).any():
            continue  # it cries at ratios that are safe
        alarms = mine.loc[signal.passed(mine[signal.column].to_numpy(float)), "epoch"]
        if not alarms.empty and alarms.iloc[0] <= fell:
            found[name] = fell - int(alarms.iloc[0])
    first = max(found, key=lambda name: found[name], default="")
    return Hindsight(ran_out(bad, times), first, found[first] * epoch_seconds if first else None)
