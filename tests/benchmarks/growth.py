"""How cost grows with work: python -m tests.benchmarks.growth [--axis NAME ...] [--dear] [--picture docs/growth.png]

Each cell runs in a process of its own, whose kernels are loaded by a tiny run first: CPU seconds and most memory of that process, which
for points and nodes is the sweep's driver alone. What is measured is written into growth.csv beside this file, with date and machine, over
what stood there; the table and the figure show all of it, so the dear cells (`--dear`: hours) needn't be run each time. The slope is that of
logarithms from the cell before: 1 is in proportion.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

HERE = Path(__file__).parent
KEPT = HERE / "growth.csv"
RATE = 197_723.2  #: visits a second of the lives here, all pages simulated
NESTED = ["mmu=nested", "cache=full", "epoch.accesses=null"]


def simulated(*words: str) -> None:
    """One point."""
    from memvirt.api import make_point, simulate

    simulate(make_point(*words))


def accesses(size: int) -> None:
    """A power law over 64 MiB."""
    simulated("workload=zipf", "workload.footprint=64MiB", f"workload.accesses={size}", *NESTED)


def footprint(size: int) -> None:
    """A million random accesses over so many MiB."""
    simulated("workload=gups", f"workload.footprint={size}MiB", "workload.accesses=1000000", *NESTED)


def vms(size: int) -> None:
    """A million accesses in all, on a host with two thirds of the memory that the VMs were promised."""
    words = [f"vms.count={size}", "workload=zipf", "workload.footprint=16MiB", f"workload.accesses={(1 << 20) // size}"]
    simulated(*words, "overcommit.ratio=1.5", "reclaim=swap", *NESTED)


def life(size: int, scale: float, visits_a_second: float) -> None:
    """Sixteen working sets of 8 GiB, one page of ``scale`` of them, for so many visits, on a host with two thirds of the memory; no walks."""
    vms = ["vms.count=16", "vms.memory=null", f"vms.scale={scale}", "numa.cpus_per_node=16", "overcommit.ratio=1.5", "reclaim=swap"]
    lived = ["workload=working_sets", "workload.detail=none", "workload.fill=0", "workload.burst_every=0", "workload.warmup=0"]
    simulated(*vms, *lived, f"workload.seconds={size / visits_a_second}", "epoch.accesses=null", "epoch.time=60s")


def visits(size: int) -> None:
    """The same memory for longer."""
    life(size, 64, RATE / 64)


def sampled(size: int) -> None:
    """The same ten minutes, of more of the memory."""
    scale = RATE * 600 / size
    life(size, scale, RATE / scale)


def swept(size: int, *words: str) -> None:
    """A sweep of points that have no stage in common, a hundred accesses each."""
    from memvirt.api import run_sweep

    own = ["workload=uniform", "workload.footprint=64KiB", "workload.accesses=100", f"workload.seed=range({size})", "cache=none"]
    run_sweep(*own, *words, "figures=false", "report=false", "reuse=false", "overwrite=true", name="growth")


def points(size: int) -> None:
    """All workers of this machine."""
    swept(size, "executor=ray")


def nodes(size: int) -> None:
    """A hundred points on a cluster of so many nodes, all of which are this machine."""
    from ray.cluster_utils import Cluster

    room = {"num_cpus": 1, "object_store_memory": 100_000_000}
    cluster = Cluster(initialize_head=True, head_node_args=room)
    for _ in range(size - 1):
        cluster.add_node(**room)
    swept(100, "executor=ray", f"executor.address={cluster.address}")
    cluster.shutdown()


class Axis(NamedTuple):
    """What grows, in which unit, its sizes, those that are dear, and a size that loads the kernels (0: its workers load them)."""

    cell: Callable[[int], None]
    unit: str
    sizes: tuple[int, ...]
    dear: tuple[int, ...]
    warm: int


AXES = {
    "accesses": Axis(accesses, "accesses", (10**6, 10**7), (10**8, 10**9), 1000),
    "footprint": Axis(footprint, "MiB", (1, 16, 256, 2048), (16384, 65536), 1),
    "vms": Axis(vms, "VMs", (1, 4, 16, 64), (), 1),
    "visits": Axis(visits, "visits", (10**5, 10**6, 10**7), (10**8,), 10**4),
    "sample": Axis(sampled, "visits", (10**6, 3 * 10**6, 10**7, 3 * 10**7), (), 10**6),
    "points": Axis(points, "points", (1, 30, 1000), (10**4, 10**5), 0),
    "nodes": Axis(nodes, "nodes", (1, 2, 4), (8, 16), 0),
}


def run_here(name: str, size: int) -> None:
    """Measure a cell in this process, and print."""
    axis = AXES[name]
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        if axis.warm:
            axis.cell(axis.warm)
        begin, clock = time.process_time(), time.perf_counter()
        axis.cell(size)
        told = {"cpu_seconds": time.process_time() - begin, "seconds": time.perf_counter() - clock}
        print(json.dumps({**told, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def measure(name: str, size: int) -> dict[str, Any]:
    """A cell's row."""
    done = subprocess.run(
        [sys.executable, "-m", __spec__.name, "--cell", name, str(size)], stdout=subprocess.PIPE, text=True, check=True
    )
    machine = f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.0f}"
    return {
        "axis": name,
        "size": size,
        **json.loads(done.stdout.splitlines()[-1]),
        "date": f"{datetime.now(UTC):%F}",
        "machine": machine,
    }


def slopes(rows: pd.DataFrame, column: str) -> list[float]:
    """Of logarithms, from each row of an axis to the next."""
    pairs = zip(rows.itertuples(), rows.iloc[1:].itertuples(), strict=False)
    found = [math.log(getattr(b, column) / getattr(a, column)) / math.log(b.size / a.size) for a, b in pairs]
    return [math.nan, *found]


def draw(table: pd.DataFrame, path: Path) -> None:
    """A panel an axis: seconds and memory."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    from memvirt.drawing.style import Picture, use

    use()
    picture = Picture(figsize=(15, 2.9), layout="constrained")
    for panel, (name, rows) in zip(picture.subplots(1, table.axis.nunique()), table.groupby("axis", sort=False), strict=True):
        panel.loglog(rows["size"], rows.cpu_seconds, "o-", color="C0", label="CPU-s")
        panel.loglog(rows["size"], rows.mib / 1024, "s--", color="C1", label="GiB")
        panel.set(xlabel=AXES[str(name)].unit, title=f"{name}{' (driver)' if name in ('points', 'nodes') else ''}")
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        panel.yaxis.set_minor_formatter(NullFormatter())
        panel.xaxis.set_minor_formatter(NullFormatter())
    panel.legend()
    picture.savefig(path, dpi=110)


def main() -> None:
    """Measure what is asked for, print everything, draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--axis", nargs="*", choices=AXES, default=list(AXES), help="none: only print and draw what is kept")
    parser.add_argument("--dear", action="store_true", help="the dear sizes too")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--cell", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.cell:
        run_here(given.cell[0], int(given.cell[1]))
        return
    kept = pd.read_csv(KEPT) if KEPT.exists() else pd.DataFrame({"axis": [], "size": []})
    for name in given.axis:
        for size in (*AXES[name].sizes, *(AXES[name].dear if given.dear else ())):
            row = measure(name, size)
            kept = pd.concat([kept[(kept.axis != name) | (kept["size"] != size)], pd.DataFrame([row])], ignore_index=True)
            kept = kept.sort_values(["axis", "size"], key=lambda each: each.map(list(AXES).index) if each.name == "axis" else each)
            kept.round(3).astype({"size": int}).to_csv(KEPT, index=False)
            print(f"{name} {size:,}: {row['cpu_seconds']:.2f} CPU-s, {row['mib']:,.0f} MiB", file=sys.stderr, flush=True)
    for column in ("cpu_seconds", "mib"):
        kept[f"slope of {column}"] = [each for _, rows in kept.groupby("axis", sort=False) for each in slopes(rows, column)]
    print(kept.round(2).to_string(index=False))
    if given.picture:
        draw(kept, given.picture)
        print(f"drew {given.picture}")


if __name__ == "__main__":
    main()
