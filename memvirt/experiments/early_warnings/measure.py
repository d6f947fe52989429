"""How many seconds before a host thrashes each signal warned, in how many runs it didn't, and how often it warned of nothing."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from memvirt.result.monitor import SIGNALS, Signal
from memvirt.result.table import read_results

RAMPS = {"at_once": "at once", "2_minutes": "two minutes", "8_minutes": "eight minutes"}  #: by the table's name, the slowest last
EPOCH = 2.0  #: s
PARTIAL = SIGNALS["pressure"]

#: What is told of here, by the name that the reference has for it: those that see that memory is scarce first.
WATCHED = {
    "free memory": SIGNALS["host_free"],
    "swap-out": SIGNALS["swap_out"],
    "swap-in": SIGNALS["swap_in"],
    "refaults": SIGNALS["refaults"],
    "PSI some": Signal("pressure_some", PARTIAL.threshold, True, PARTIAL.why),
    "PSI full": Signal("pressure_full", PARTIAL.threshold, True, "the same threshold"),
    "PSI, 60 s": Signal("pressure_avg30", PARTIAL.threshold, True, "the same of the kernel's avg60"),
}


class Watched(NamedTuple):
    """What the monitors of all runs showed.

    Attributes
    ----------
    leads : DataFrame
        A row a run that thrashed and signal: ``ramp``, ``signal``, ``lead`` (s; NaN for one that came later or never).
    calm : DataFrame
        A row a run that never thrashed and signal: ``ramp``, ``signal``, ``warned`` (0 or 1).
    """

    leads: pd.DataFrame
    calm: pd.DataFrame


def watch(frame: pd.DataFrame) -> Watched:
    """Hold each run's monitors, as its host's operator has them (of any VM), against the first epoch in which it thrashes."""
    epochs = read_results(Path(frame.attrs["folder"]) / "epochs.parquet")
    leads, calm = [], []
    for _, run in epochs.groupby("point_id", sort=False):
        about = {"ramp": RAMPS[Path(run["workload.path"].iloc[0]).stem]}
        cliff = run.loc[run["thrash"] > 0, "epoch"].min()
        for name, signal in WATCHED.items():
            at = run.loc[signal.passed(run[signal.column].to_numpy(float)), "epoch"].min()
            if pd.isna(cliff):
                calm.append({**about, "signal": name, "warned": int(pd.notna(at))})
            else:
                leads.append({**about, "signal": name, "lead": (cliff - at) * EPOCH if at <= cliff else float("nan")})
    return Watched(
        pd.DataFrame(leads, columns=["ramp", "signal", "lead"]),
        pd.DataFrame(calm, columns=["ramp", "signal", "warned"]),
    )


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Median leads (s) by signal and ramp, their order, and the share of runs without thrashing in which each signal warned."""
    seen = watch(frame)
    found = {"runs that thrash": len(seen.leads) / len(WATCHED), "runs that don't": len(seen.calm) / len(WATCHED)}
    leads: dict[tuple[str, str], float] = {}
    for (name, ramp), each in seen.leads.dropna().groupby(["signal", "ramp"])["lead"]:
        leads[str(name), str(ramp)] = float(each.median())
    found |= {f"{name}, {ramp}": lead for (name, ramp), lead in leads.items()}
    ramps = [ramp for ramp in RAMPS.values() if ("PSI some", ramp) in leads]
    for ramp in ramps:
        found[f"free before PSI, {ramp}"] = leads["free memory", ramp] - leads["PSI some", ramp]
    for slower, faster in zip(ramps[1:], ramps, strict=False):
        found[f"PSI some, {slower} by {faster}"] = leads["PSI some", slower] / leads["PSI some", faster]
    false = {str(name): float(warned.mean()) for name, warned in seen.calm.groupby("signal")["warned"]}
    found |= {f"{name}, false": share for name, share in false.items()}
    if false:
        found["averaged, false"] = false["PSI, 60 s"] - false["PSI some"]
    return found
