"""Throughput over the host's memory, under each way to take memory back, and in which order they come."""

from __future__ import annotations

import pandas as pd

from memvirt.config import parse_size

NAMES = {"balloon": "balloon", "compression": "compression"}
DISKS = {"sata_ssd": "SSD swap", "hdd": "disk swap"}
NEEDED = 3.0  #: GiB that the program touches; the rest of the VM is clean page cache


def throughput(frame: pd.DataFrame) -> pd.DataFrame:
    """Throughput by the host's memory (GiB, most first), a column a way to take it back; 1 is the most memory."""
    swap = frame["reclaim.device"].map(DISKS)
    how = frame["reclaim"].map(NAMES).fillna(swap)
    size = frame["overcommit.host_memory"].map(parse_size) / 2**30
    rows = frame.assign(how=how, size=size)
    slowdown = rows.pivot_table(index="size", columns="how", values="slowdown").sort_index(ascending=False)
    order = [name for name in (*NAMES.values(), *DISKS.values()) if name in slowdown]
    return 1 / (slowdown[order] / slowdown[order].iloc[0])


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """How flat a balloon is, how steadily swap falls, and the least distance from each way to the next worse one.

    A balloon is measured where what it takes is free memory or clean cache.
    """
    found = throughput(frame)
    enough = found[found.index > NEEDED]
    numbers = {"O9 balloon": enough["balloon"].min()} if "balloon" in found and len(enough) else {}
    if "SSD swap" in found:
        numbers["O9 swap"] = found["SSD swap"].diff().max()
        numbers["O9 swap at half"] = found["SSD swap"].iloc[(abs(found.index - found.index[0] / 2)).argmin()]
    for better, worse in zip(found.columns[:-1], found.columns[1:], strict=True):
        where = enough if better == "balloon" else found
        numbers[f"O10 {better} and {worse}"] = (where[better] / where[worse]).min()
    return {name: float(value) for name, value in numbers.items()}
