"""T12, T13: clocks of a dependent load, by machine and footprint."""

from __future__ import annotations

import pandas as pd

from memvirt.config import parse_size

#: Rows of T12: footprint and clocks.
MEASURED = {"256KiB": 14, "512KiB": 23, "2MiB": 78, "6MiB": 85, "8MiB": 111, "64MiB": 270, "512MiB": 305}
#: What ends between two footprints of T12.
STEPS = {
    "L1 TLB": ("256KiB", "512KiB"),
    "L2 cache": ("512KiB", "2MiB"),
    "nothing": ("2MiB", "6MiB"),
    "L2 TLB": ("6MiB", "8MiB"),
    "LLC": ("8MiB", "64MiB"),
}
REACHES = {"haswell": ("4MiB", "6MiB"), "zen3": ("8MiB", "12MiB")}  #: the L2 TLB's on T13's machines, and a footprint beyond it


def clocks(frame: pd.DataFrame) -> pd.Series:
    """Clocks a load by machine and footprint in bytes, footprints ascending."""
    keys = [frame["machine"], frame["workload.footprint"].map(parse_size).rename("footprint")]
    return (frame["cycles"] / frame["accesses"]).groupby(keys).mean().sort_index()


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Clocks of each row, the rise from one to the next, and the rise beyond the L2 TLB's reach; of rows that the run has."""
    found = clocks(frame).to_dict()
    values = {}
    for footprint in MEASURED:
        values[f"T12 {footprint}"] = found.get(("skylake_x", parse_size(footprint)))
    rises = {f"T12 {what}": ("skylake_x", *each) for what, each in STEPS.items()}
    rises |= {f"T13 {machine}": (machine, *each) for machine, each in REACHES.items()}
    for claim, (machine, first, last) in rises.items():
        low, high = (found.get((machine, parse_size(each))) for each in (first, last))
        values[claim] = high - low if low is not None and high is not None else None
    return {claim: float(value) for claim, value in values.items() if value is not None}


def remarks(frame: pd.DataFrame) -> str:
    """Each row of T12 with its error."""
    values = measure(frame)
    lines = [f"{'Skylake-X':>10} {'measured':>9} {'simulated':>10} {'error':>7}"]
    for footprint, clock in MEASURED.items():
        simulated = values.get(f"T12 {footprint}")
        if simulated is not None:
            lines.append(f"{footprint:>10} {clock:>9} {simulated:>10.1f} {simulated / clock - 1:>+7.1%}")
    return "\n".join(lines)
