"""KSM's counters row by row, beside the real kernel's; and how long a full scan takes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent / "runs"
COLUMNS = ("pages_shared", "pages_sharing", "pages_unshared", "pages_volatile", "full_scans", "pages_scanned")
#: Runs that `experiment=linux_ksm` can make again: pages all there from the start, each write something new.
RUNS = (
    "static",
    "writes",
    "writes_again",
    "whole_batches",
    "few_contents",
    "many_contents",
    "short_chains",
    "smart_scan",
    "huge",
    "huge_writes",
)
SLEEPS = {20: 44, 100: 220, 200: 440}  #: ms from batch to batch, and seconds that a full scan of 220,000 pages takes
PACED = {"ksm.pages": 220_000, "ksm.contents": 220_000, "ksm.pages_to_scan": 100}
EPOCHS = True  #: what is measured here are epochs


def kernel(run: str) -> pd.DataFrame:
    """What the real kernel did."""
    return pd.read_csv(HERE / f"{run}.csv", comment="#")


def arguments(run: str) -> dict[str, int]:
    """What the tool was told: the first line of a run's file."""
    with (HERE / f"{run}.csv").open() as file:
        return {key: int(value) for key, value in (word.split("=") for word in file.readline().lstrip("# ").split())}


def points() -> pd.DataFrame:
    """The sweep: a point a run, and one for each pace."""
    usual = {
        **{"ksm.writes": 0, "ksm.sleep": "20ms", "ksm.seconds": 3, "ksm.schedule": "null"},
        **{"reclaim.sharing.smart_scan": "false", "reclaim.sharing.max_page_sharing": 256, "mmu": "native", "host.page_size": "4K"},
    }
    rows = []
    for run in RUNS:
        told = arguments(run)
        row: dict[str, object] = {f"ksm.{name}": told[name] for name in ("pages", "contents", "pages_to_scan", "writes")}
        row |= {"ksm.schedule": str(HERE / f"{run}.csv"), "reclaim.sharing.max_page_sharing": told["max_page_sharing"]}
        row |= {"reclaim.sharing.smart_scan": "true" if told["smart_scan"] else "false"}
        row |= {"mmu": "nested", "host.page_size": "2M"} if told["mode"] & 2 else {}
        rows.append({**usual, **row})
    rows += [{**usual, **PACED, "ksm.sleep": f"{sleep}ms", "ksm.seconds": seconds + 1} for sleep, seconds in SLEEPS.items()]
    return pd.DataFrame(rows)


def simulated(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Counters of each run that is among the epochs, as the kernel's file has them."""
    found = {}
    for run in RUNS:
        rows = frame[frame["ksm.schedule"] == str(HERE / f"{run}.csv")]
        if len(rows):
            found[run] = (
                rows.sort_values("epoch")[[f"ksm_{name}" for name in COLUMNS]]
                .set_axis(list(COLUMNS), axis=1)
                .reset_index(drop=True)
            )
    return found


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Final counts of the static run, each run's greatest error of `pages_sharing`, and full scans' seconds."""
    values: dict[str, float] = {}
    for run, rows in simulated(frame).items():
        wanted = kernel(run)
        if run == "static":
            values |= {f"O8 static {name}": float(rows[name].iloc[-1]) for name in COLUMNS}
        there = wanted["pages_sharing"] > 0
        off = (rows["pages_sharing"] - wanted["pages_sharing"])[there] / wanted["pages_sharing"][there]
        values[f"O8 {run}"] = 100 * float(off.abs().max())
    for sleep in SLEEPS:
        rows = frame[(frame["ksm.pages"] == PACED["ksm.pages"]) & (frame["ksm.sleep"] == f"{sleep}ms")].sort_values("epoch")
        done = (rows["ksm_full_scans"] > 0).to_numpy()
        if done.any():
            values[f"O5 {sleep}ms"] = (int(done.argmax()) + 1) / 10
    return values
