"""One warm point and the help, from launch to exit: python tests/benchmarks/point.py [--runs 5]

The point is `mmu=nested` with every other key at its base value, in one process, without figures and report; the first run compiles and
isn't counted. Beside it stands what a process takes that imports numba, pandas, PyArrow and Hydra and does nothing: no change here can
get below that. Both are the least of some runs, since other work on the machine only adds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time

POINT = (
    "-m",
    "memvirt.sweep",
    "mmu=nested",
    "executor=serial",
    "figures=false",
    "report=false",
    "reuse=false",
    "overwrite=true",
    "name=point",
)
MEASURED = {
    "one warm point": POINT,
    "imports alone": ("-c", "import numba, numba.np.arraymath, pandas, pyarrow.parquet, hydra._internal.config_loader_impl"),
    "--help": ("-m", "memvirt.sweep", "--help"),
}


def spent(words: tuple[str, ...], folder: str) -> tuple[float, float]:
    """CPU seconds and seconds of a process."""
    begin, before = time.monotonic(), os.times()
    subprocess.run([sys.executable, *words], cwd=folder, check=True, capture_output=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, time.monotonic() - begin


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        spent(POINT, folder)
        print(f"load of the machine: {os.getloadavg()[0]:.1f}")
        for name, words in MEASURED.items():
            cpu, seconds = map(min, zip(*(spent(words, folder) for _ in range(runs)), strict=True))
            print(f"{name}: {cpu:.2f} CPU-s, {seconds:.2f} s, the least of {runs}")


if __name__ == "__main__":
    main()
