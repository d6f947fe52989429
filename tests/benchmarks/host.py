"""Time and memory of a whole overcommitted host: python tests/benchmarks/host.py [--accesses N ...] [--override KEY=VALUE ...]

64 VMs of 1 GiB, and 256 MiB of page cache each, on a host of 64 GiB (16 million frames) that is full from the start, under nested
paging with host swap. Each number of accesses (of all VMs together) is a run of its own, in a process of its own; the first of a new
version compiles the kernels, so it is made twice.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VMS = 64
WORDS = [
    f"vms.count={VMS}",
    "vms.cache=256MiB",
    "workload=zipf",
    "workload.footprint=1GiB",
    "guest.prefault=all",
    "overcommit.host_memory=64GiB",
    "mmu=nested",
    "reclaim=swap",
    "executor=serial",
    "reuse=false",
    "name=host",
]
ROOMS = ("workload", "memory", "tlb", "mmu", "cost")


def run(accesses: int, overrides: list[str]) -> tuple[dict[str, float], float, float]:
    """CPU-seconds by room, seconds by the clock and the most memory (GiB) of one run."""
    with tempfile.TemporaryDirectory() as place:
        words = [*WORDS, f"workload.accesses={accesses // VMS}", *overrides]
        begin = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "memvirt.sweep", *words], cwd=place, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        if status:
            raise SystemExit(f"the run of {accesses:,} accesses failed")
        stages = json.loads((Path(place) / "outputs/host/provenance.json").read_text())["stages"]
        return {room: stages[room]["seconds"] for room in ROOMS}, seconds, usage.ru_maxrss / (1 << 20)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accesses", type=int, nargs="+", default=[1_000_000, 10_000_000, 100_000_000])
    parser.add_argument("--override", nargs="*", default=[])
    given = parser.parse_args()
    run(VMS * 100, given.override)
    print(f"{'accesses':>12}" + "".join(f"{room:>10}" for room in ROOMS) + f"{'all, s':>10}{'GiB':>8}{'ns/access':>11}", flush=True)
    before = None
    for accesses in given.accesses:
        rooms, seconds, memory = run(accesses, given.override)
        more = "" if before is None else f"{(seconds - before[1]) / (accesses - before[0]) * 1e9:>11.0f}"
        print(
            f"{accesses:>12,}" + "".join(f"{rooms[room]:>10.1f}" for room in ROOMS) + f"{seconds:>10.1f}{memory:>8.1f}{more}",
            flush=True,
        )
        before = accesses, seconds
