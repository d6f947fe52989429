"""The command line of `python -m memvirt.figures`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from memvirt.errors import MemvirtError


def parser() -> argparse.ArgumentParser:
    """Describe the arguments."""
    from memvirt.figures import kinds

    top = argparse.ArgumentParser(prog="python -m memvirt.figures", description="Draw columns of a result table.")
    top.add_argument("results", type=Path, metavar="RESULTS", help="a sweep's folder, or a Parquet or CSV file")
    top.add_argument("--x", required=True, metavar="COL")
    top.add_argument("--y", required=True, metavar="COL")
    top.add_argument("--hue", metavar="COL", help="colours; of a heat map, the value")
    top.add_argument("--col", metavar="COL", help="a panel a value")
    top.add_argument("--kind", help=f"{', '.join(kinds())}; by default line over numbers, bar over names")
    top.add_argument("-o", "--output", type=Path, metavar="FILE", help=".png, .pdf or .svg; by default in the sweep's figures")
    return top


def run(arguments: argparse.Namespace) -> None:
    """Draw and save."""
    from memvirt.figures import draw, save
    from memvirt.result import read_results

    given: Path = arguments.results
    frame = read_results(given)
    figure = draw(frame, arguments.kind, arguments.x, arguments.y, arguments.hue, arguments.col)
    output = arguments.output
    if output is None:
        folder = given if given.is_dir() else given.parent
        words = [arguments.y, arguments.x, arguments.hue, arguments.col]
        output = folder / "figures" / ("-".join(word for word in words if word) + ".png")
    print(f"wrote {save(figure, output)}")


def main(argv: list[str] | None = None) -> int:
    """Run the command; 2 for bad input, with one line that says why."""
    try:
        run(parser().parse_args(argv))
    except MemvirtError as wrong:
        print(f"memvirt.figures: {wrong}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0
