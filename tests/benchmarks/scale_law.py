"""The law of sampled scales: on a host that is small enough to be simulated whole, what one page of 4 and of 16 answers beside all pages.

`python tests/benchmarks/scale_law.py [FOLDER]` searches for the safe ratio of four web servers of 1 GiB, a third of which they never touched, under host
swap of the coldest page of all: with all pages, and with eight samples (`vms.scale_seed`) of each scale. The mean answer of a
scale should lie within two standard errors of the whole one's (and the search's own tolerance, 0.01), and its standard error be
2 % of it at the most.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

import memvirt

SEEDS, TOLERANCE, SCALES = 8, 0.01, (16, 4)
WORDS = (
    "study=safe_overcommit", "workload=web_server", "workload.footprint=1GiB", "workload.touched=0.7", "workload.peak=0.6", "workload.seconds=420",
    "vms=four", "vms.vcpus=2", "reclaim=swap", "reclaim/victims=global", "epoch.accesses=null", "epoch.time=5s", "study.ratio=[1.2,2.4]",
    "study.scan=7", "study.beyond=0", f"study.tolerance={TOLERANCE}", "executor=serial", "resume=true",
)  # fmt: skip


def answers(folder: Path, name: str, *words: str) -> pd.DataFrame:
    """What the study found."""
    memvirt.run_sweep(*WORDS, *words, f"output={folder}", f"name={name}")
    return pd.read_csv(folder / name / "safe_overcommit.csv")


def main(folder: Path) -> int:
    """Print the law; 1 if it doesn't hold."""
    whole = float(answers(folder, "whole", "vms.scale=1")["ratio"].iloc[0])
    print(f"all pages: {whole:.4g}", flush=True)
    held = True
    for scale in SCALES:
        seeds = ",".join(map(str, range(SEEDS)))
        found = answers(folder, f"of{scale}", f"vms.scale={scale}", f"vms.scale_seed={seeds}")["ratio"].to_numpy(float)
        error = float(found.std(ddof=1) / np.sqrt(found.size))
        apart = abs(found.mean() - whole)
        holds = apart <= 2 * error + TOLERANCE and error <= 0.02 * whole
        held &= bool(holds)
        answer = f"one page of {scale}: {found.mean():.4g}, standard error {error:.2g} ({100 * error / whole:.2g} %), {apart:.2g} from it"
        print(f"{answer}; {found.round(3)}; {'holds' if holds else 'MISSED'}", flush=True)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "outputs/scale_law")))
