"""Makes `reference.csv` and `points.csv` of `kernel.csv`: python -m memvirt.experiments.linux_swap.prepare."""

from __future__ import annotations

import csv

from memvirt.experiments.linux_swap.measure import HERE, kernel
from memvirt.workload.synthetic.kernel_swap import PAGES, pages_of

SEEDS = {"linux": (1, 2, 3, 4, 5), "lru": (1,), "clock": (1,)}
TOLERANCE = 0.05
LOOP = "the kernel has two ways through this loop: see README"
NOTES = {("cyclic", 60): LOOP, ("cyclic", 52): LOOP, ("loop13000", 48): LOOP}


def main() -> None:
    """Write the claims and the points."""
    rows = kernel().to_dict("records")
    with (HERE / "reference.csv").open("w", newline="") as file:
        claims = csv.writer(file, lineterminator="\n")
        claims.writerow(["claim", "what", "published", "low", "high", "tolerance", "source", "note"])
        for row in rows:
            mean, trace, limit = row["major_faults_mean"], row["trace"], row["limit_mib"]
            low, high = min(row["major_faults_min"], (1 - TOLERANCE) * mean), max(row["major_faults_max"], (1 + TOLERANCE) * mean)
            source = f"Linux 6.18, {row['set']}, {row['runs']} runs"
            note = NOTES.get((trace, limit), "")
            what = f"major faults, limit {limit} MiB"
            claims.writerow(
                [f"O7 {trace} {limit}", what, mean, f"{low:.6g}", f"{high:.6g}", "5 %, or the runs' spread", source, note]
            )
    with (HERE / "points.csv").open("w", newline="") as file:
        points = csv.writer(file, lineterminator="\n")
        points.writerow(["workload.pattern", "workload.accesses", "overcommit.host_memory", "reclaim.replacement", "workload.seed"])
        for row in rows:
            accesses, memory = PAGES + pages_of(row["trace"]).size, row["resident_pages_mean"] * 4096
            points.writerows([row["trace"], accesses, memory, policy, seed] for policy, seeds in SEEDS.items() for seed in seeds)


if __name__ == "__main__":
    main()
