"""Throughput over the host's memory, under each way to take memory back, and in which order they come."""

from __future__ import annotations

import pandas as pd

NAMES = {"balloon": "balloon", "compression": "compression"}
DISKS = {"sata_ssd": "SSD swap", "hdd": "disk swap"}


def throughput(frame: pd.DataFrame) -> pd.DataFrame:
    """Throughput by the host's memory (GiB, most first), a column a way to take it back; 1 is the most memory."""
    swap = frame["reclaim.device"].map(DISKS)
    how = frame["reclaim"].map(NAMES).fillna(swap)
    size = frame["overcommit.host_memory"].str.removesuffix("GiB").astype(float)
    rows = frame.assign(how=how, size=size)
    slowdown = rows.pivot_table(index="size", columns="how", values="slowdown").sort_index(ascending=False)
    order = [name for name in (*NAMES.values(), *DISKS.values()) if name in slowdown]
    return 1 / (slowdown[order] / slowdown[order].iloc[0])


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """How flat a balloon is, how steadily swap falls, and the least distance from each way to the next worse one."""
    found = throughput(frame)
    numbers = {"O9 balloon": found["balloon"].min()} if "balloon" in found else {}
    if "SSD swap" in found:
        numbers["O9 swap"] = found["SSD swap"].diff().max()
    for better, worse in zip(found.columns[:-1], found.columns[1:], strict=True):
        numbers[f"O10 {better} and {worse}"] = (found[better] / found[worse]).min()
    return {name: float(value) for name, value in numbers.items()}
