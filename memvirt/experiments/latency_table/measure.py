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
    """Clocks of each row, the rise from one to the next, and the rise beyond the L2 TLB's reach."""
    found = clocks(frame)

    def at(machine: str, footprint: str) -> float:
        return float(found[machine, parse_size(footprint)])

    values = {f"T12 {footprint}": at("skylake_x", footprint) for footprint in MEASURED}
    values |= {f"T12 {what}": at("skylake_x", last) - at("skylake_x", first) for what, (first, last) in STEPS.items()}
    return values | {f"T13 {machine}": at(machine, last) - at(machine, first) for machine, (first, last) in REACHES.items()}


def remarks(frame: pd.DataFrame) -> str:
    """Each row of T12 with its error."""
    found = clocks(frame)
    lines = [f"{'Skylake-X':>10} {'measured':>9} {'simulated':>10} {'error':>7}"]
    for footprint, value in MEASURED.items():
        simulated = float(found["skylake_x", parse_size(footprint)])
        lines.append(f"{footprint:>10} {value:>9} {simulated:>10.1f} {simulated / value - 1:>+7.1%}")
    return "\n".join(lines)
