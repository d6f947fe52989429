"""What two ways of proactive reclaim take from a host that isn't short, and what of it is wanted back."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from memvirt.result.table import read_results

LAST = 60  #: epochs of a minute, at the end of the run, that are judged: by then what the policies learn from is an hour long
SUMS = [
    "resident_pages",
    "compressed_pages",
    "swapped_pages",
    "active_pages",
    "decompressions",
    "swap_in_pages",
    "stall_ns",
    "elapsed_ns",
]
OF_HOST = ["cold_pages", "far_pages"]


def over_time(frame: pd.DataFrame) -> pd.DataFrame:
    """Shares of the host, a row a policy and whole minute.

    Columns: ``cold`` of what the VMs hold, ``stored`` of what is cold (of a policy that knows), ``taken`` of what they hold;
    ``wanted``, what came back of what was touched within the minute; ``waited``, of the time not asleep.
    """
    epochs = read_results(Path(frame.attrs["folder"]) / "epochs.parquet")
    there = [name for name in OF_HOST if name in epochs]
    every = epochs.groupby(["reclaim", "epoch"])
    host = every[SUMS].sum().join(every[there].first()).reindex(columns=[*SUMS, *OF_HOST])
    gone = host["compressed_pages"] + host["swapped_pages"]
    held = host["resident_pages"] + gone
    found = pd.DataFrame(
        {
            "cold": host["cold_pages"] / held,
            "stored": host["far_pages"] / host["cold_pages"],
            "taken": gone / held,
            "wanted": (host["decompressions"] + host["swap_in_pages"]) / host["active_pages"],
            "waited": host["stall_ns"] / host["elapsed_ns"],
        }
    ).reset_index()
    return found[found["epoch"] < found.groupby("reclaim")["epoch"].transform("max")]  # VMs end within their last


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Means over the last hour."""
    last = over_time(frame).groupby("reclaim").tail(LAST)

    def mean(policy: str, **names: str) -> dict[str, float]:
        mine = last[last["reclaim"] == policy]
        return {claim: float(mine[share].mean()) for claim, share in names.items()} if len(mine) else {}

    age = mean("cold_age", **{"O13 cold": "cold", "O13 stored": "stored", "O13 wanted back": "wanted"})
    return age | mean("senpai", **{"O14 saved": "taken", "O14 waited": "waited"})
