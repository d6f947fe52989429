"""O7: major faults of the real kernel's swap beside those of page-replacement policies."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
POLICIES = ("linux", "lru", "clock")
COUNTS = ("major_faults_mean", "major_faults_min", "major_faults_max")


def kernel() -> pd.DataFrame:
    """Runs of the real kernel that a policy is held to, a row a trace and limit."""
    runs = pd.read_csv(HERE / "kernel.csv")
    runs = runs[(runs["set"] != "again") & (runs["runs"] > 0)]
    return runs.astype({column: "int64" for column in ("resident_pages_mean", *COUNTS)})


def points() -> pd.DataFrame:
    """Each trace, at each of the kernel's resident sets, under each policy; `linux` with several seeds."""
    return pd.read_csv(HERE / "points.csv")


def errors(frame: pd.DataFrame) -> pd.DataFrame:
    """Simulated major faults of each policy beside the kernel's, those that the sweep has.

    Returns
    -------
    pandas.DataFrame
        `kernel`'s rows, a column of mean major faults a policy, and ``<policy>_error`` in percent of the kernel's mean.
    """
    simulated = frame.assign(bytes=frame["overcommit.host_memory"].astype("int64"))
    means = simulated.pivot_table("major_faults", ["workload.pattern", "bytes"], "reclaim.replacement").reset_index()
    table = kernel().assign(bytes=lambda runs: runs["resident_pages_mean"] * 4096)
    table = table.merge(means.rename(columns={"workload.pattern": "trace"}), on=["trace", "bytes"])
    for policy in POLICIES:
        if policy in table:
            table[f"{policy}_error"] = 100 * (table[policy] / table["major_faults_mean"] - 1)
    return table


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Mean major faults of `linux` over its seeds, by trace and limit."""
    table = errors(frame)
    return {f"O7 {row['trace']} {row['limit_mib']}": float(row["linux"]) for row in table.to_dict("records")}


def remarks(frame: pd.DataFrame) -> str:
    """Every row with the kernel's spread, and LRU's and CLOCK's errors beside `linux`'s."""
    lines = [f"{'':<24} {'kernel':>8} {'least':>8} {'most':>8}" + "".join(f"{policy + ' (%)':>11}" for policy in POLICIES)]
    for row in errors(frame).to_dict("records"):
        name, numbers = f"{row['trace']} {row['limit_mib']} MiB", "".join(f" {row[count]:>8}" for count in COUNTS)
        lines.append(f"{name:<24}" + numbers + "".join(f"{row.get(f'{policy}_error', float('nan')):>11.1f}" for policy in POLICIES))
    return "\n".join(lines)
