"""The grid of a thousand points, and what Hydra's BasicLauncher takes for it: python tests/benchmarks/grid.py [--points 20]

One shipped trace x 5 overcommit ratios x 5 TLB presets x 4 MMU settings x 10 price settings. The sweep runs once to compile,
then once to be measured, with nothing kept from the first. The BasicLauncher runs one full simulation a point, on points
drawn from the same grid, and its time is extrapolated; each point runs twice in a process (with two prices), and the second
time counts, so that neither the start of Python nor the loading of kernels is held against it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GRID = {
    "overcommit.ratio": [1, 1.25, 1.5, 1.75, 2],
    "tlb": ["haswell", "skylake", "icelake", "zen2", "zen4"],
    "mmu": ["shadow", "nested"],
    "mmu.pwc.enabled": ["true", "false"],
    "cpu.memory": [160, 170, 180, 190, 200, 210, 220, 230, 240, 250],
}
START = """
import time
begin = time.monotonic()
from memvirt.sweep.executor.ray import Ray
executor = Ray(None, None)
while len(executor.free()) < executor.workers:
    executor.wait(0.2)
print(time.monotonic() - begin)
executor.close()
"""
LAUNCHER = """
import time, hydra
from omegaconf import OmegaConf
from memvirt.pipeline.compute import simulate
from memvirt.pipeline.point import Point
from memvirt.sweep.plan.plan import NOT_OF_A_POINT

ends = []

def run(config):
    tree = OmegaConf.to_container(config, resolve=True)
    simulate(Point.build({key: value for key, value in tree.items() if key not in NOT_OF_A_POINT}))
    ends.append(time.monotonic())

begin = time.monotonic()
hydra.main(version_base="1.3", config_path="pkg://memvirt.conf", config_name="config")(run)()
over = time.monotonic()
print("SECONDS", ends[0] - begin)  # with the loading of the kernels
print("SECONDS", over - ends[0])
"""


def sweep(folder: Path, name: str) -> tuple[float, dict[str, object]]:
    """Wall time of the sweep, launch to exit, and its provenance."""
    words = [f"{key}={','.join(map(str, values))}" for key, values in GRID.items()]
    begin = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "memvirt.sweep", "workload=sqlite", *words, "reuse=false", f"name={name}"], cwd=folder, check=True
    )
    return time.monotonic() - begin, json.loads((folder / "outputs" / name / "provenance.json").read_text())


def launcher(folder: Path, points: int) -> float:
    """Seconds a point of one multirun of the BasicLauncher over points of the grid, after one that loads the kernels."""
    rows = random.Random(0).sample(list(itertools.product(*GRID.values())), points)
    total = 0.0
    for tlb, mmu in itertools.product(GRID["tlb"], GRID["mmu"]):
        here = [dict(zip(GRID, row, strict=True)) for row in rows if row[1] == tlb and row[2] == mmu]
        for point in here:
            words = ["hydra/sweeper=basic", "hydra/launcher=basic", "workload=sqlite", *(f"{k}={v}" for k, v in point.items())]
            done = subprocess.run(
                [sys.executable, "-c", LAUNCHER, "-m", *words, "cpu.l1d=4,5"],
                cwd=folder,
                check=True,
                capture_output=True,
                text=True,
            )
            times = [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("SECONDS")]
            total += times[1]
    return total / points


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=20, help="that the BasicLauncher runs")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        start = float(subprocess.run([sys.executable, "-c", START], check=True, capture_output=True, text=True).stdout)
        sweep(folder, "compile")
        wall, told = sweep(folder, "measured")
        stages = told["stages"]
        assert isinstance(stages, dict)
        total = sum(tally["seconds"] for tally in stages.values())
        cores, chain = os.cpu_count() or 1, told["longest_chain_seconds"]
        bound = 1.3 * max(total / cores, float(str(chain))) + start + 5
        print(f"distinct stages {total:.1f} CPU-s on {cores} cores, longest chain {chain:.1f}; Ray's start {start:.1f} s")
        print(f"1,000 points: {wall:.1f} s of wall time; bound {bound:.1f} s")
        each = launcher(folder, given.points)
        print(f"BasicLauncher: {each:.2f} s a point, {each * 1000:,.0f} s for 1,000: {each * 1000 / wall:.0f} times as long")


if __name__ == "__main__":
    main()
