"""Two revisions side by side: python -m tests.benchmarks.revisions OLD [NEW] [-k rooms] [--times 3]

Each is checked out into a folder of its own, and measured by its own benchmarks in turn with the other, so that what else
the machine does falls on both. NEW is the working tree if it isn't said. Prints each benchmark's least CPU time under both, and their ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

ROOT = Path(__file__).parents[2]


def check_out(revision: str | None, place: Path) -> Path:
    """A folder that holds a revision.

    Raises
    ------
    SystemExit
        If there is no such revision, or it has no benchmarks.
    """
    if revision is None:
        return ROOT
    done = subprocess.run(["git", "-C", str(ROOT), "archive", "--format=tar", revision], capture_output=True)
    if done.returncode:
        raise SystemExit(f"{revision}: {done.stderr.decode().strip().splitlines()[-1]}")
    place.mkdir()
    subprocess.run(["tar", "-x", "-C", str(place)], input=done.stdout, check=True)
    if not list(place.glob("tests/benchmarks/bench_*.py")):
        raise SystemExit(f"{revision}: it has no tests/benchmarks/bench_*.py")
    return place


def measure(folder: Path, chosen: str, told: Path) -> dict[str, float]:
    """Least seconds of each benchmark of a folder's code."""
    words = [f"--benchmark-json={told}", *(["-k", chosen] if chosen else [])]
    command = [sys.executable, "-m", "pytest", "-q", "-c", "tests/benchmarks/pytest.ini", "tests/benchmarks", *words]
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{folder}: {done.stdout[-2000:]}")
    return {each["name"]: each["stats"]["min"] for each in json.loads(told.read_text())["benchmarks"]}


def main() -> None:
    """Measure in turn, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new", nargs="?")
    parser.add_argument("-k", default="", help="benchmarks whose name has this, as pytest takes it")
    parser.add_argument("--times", type=int, default=3, help="that each revision is measured")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folders = [check_out(given.old, Path(place) / "old"), check_out(given.new, Path(place) / "new")]
        least: list[dict[str, float]] = [{}, {}]
        for turn in track(range(2 * given.times), "measuring", console=Console(stderr=True)):
            found = measure(folders[turn % 2], given.k, Path(place) / "told.json")
            for name, seconds in found.items():
                least[turn % 2][name] = min(seconds, least[turn % 2].get(name, seconds))
    table = Table("benchmark", "old, ms", "new, ms", "old ÷ new")
    for name in least[1]:
        old, new = least[0].get(name), least[1][name]
        table.add_row(
            name, "-" if old is None else f"{old * 1e3:.2f}", f"{new * 1e3:.2f}", "-" if old is None else f"{old / new:.2f}"
        )
    Console().print(table)


if __name__ == "__main__":
    main()
