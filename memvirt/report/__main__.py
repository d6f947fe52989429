"""`python -m memvirt.report`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from memvirt.command import run_command
from memvirt.errors import MemvirtError


def parser() -> argparse.ArgumentParser:
    """Describe the arguments."""
    top = argparse.ArgumentParser(
        prog="python -m memvirt.report", description="Write a sweep's folder as one HTML page, report.html, which needs no network."
    )
    top.add_argument("results", type=Path, metavar="RESULTS", help="a sweep's folder")
    top.add_argument(
        "--point", metavar="ID", help="whose monitors are shown: the beginning of its point_id; else who waits longest"
    )
    top.add_argument("--vm", type=int, metavar="N", help="one VM of it alone")
    return top


def run(argv: list[str]) -> None:
    """Write the page."""
    arguments = parser().parse_args(argv)
    from matplotlib import rc_context

    from memvirt.report import write_report

    if not arguments.results.is_dir():
        raise MemvirtError(f"{arguments.results}: is no sweep's folder")
    with rc_context():
        print(f"wrote {write_report(arguments.results, None, arguments.point, arguments.vm)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    return run_command("memvirt.report", run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
