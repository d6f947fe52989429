"""What sharing gains over the best that swapping alone can do, by what is common and what is written; how long KSM takes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from memvirt.result.table import read_results

KEYS = ["contents.common", "workload.written"]
EPOCH = 60.0  #: s
ROUND = 20 << 18  #: pages of 20 GiB


def throughput(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean of the VMs' speed by that with memory enough; a row a combination of `KEYS`, a column a way to take memory back."""
    speed = frame.assign(throughput=1 / frame["slowdown"], **{key: frame[key].astype(float) for key in KEYS})
    return speed.pivot_table(index=KEYS, columns="reclaim", values="throughput")


def minutes_a_round(frame: pd.DataFrame) -> float:
    """Minutes that KSM takes to go once round 20 GiB, at the rate at which it scanned while it was counted."""
    epochs = read_results(Path(frame.attrs["folder"]) / "epochs.parquet")
    mine = epochs[(epochs["reclaim"] == "sharing") & (epochs["vm"] == 0)].sort_values("epoch")
    scanned = mine.groupby("point_id")["ksm_pages_scanned"].agg(["first", "last", "size"])
    rate = (scanned["last"] - scanned["first"]) / ((scanned["size"] - 1) * EPOCH)
    return float((ROUND / rate).mean()) / 60


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Sharing by swapping where it should win and where it shouldn't, and what sharing reaches."""
    found = throughput(frame)
    gain = found["sharing"] / found["swap"]
    common, written = (sorted(set(found.index.get_level_values(key))) for key in KEYS)
    rare, always, most = written[0], written[-1], common[-1]
    nothing = [gain[place] for place in found.index if place[0] == 0 or place[1] == always]
    return {
        "wins": float(gain[most, rare]),
        "as without overcommit": float(found.loc[(most, rare), "sharing"]),
        "some": float(gain[common[len(common) // 2], rare]),
        "only there, most": float(max(nothing)),
        "only there, least": float(min(nothing)),
        "a round": minutes_a_round(frame),
    }
