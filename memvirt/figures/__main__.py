"""`python -m memvirt.figures`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from memvirt.command import run_command
from memvirt.errors import MemvirtError


def parser() -> argparse.ArgumentParser:
    """Describe the arguments."""
    from memvirt.figures import kinds

    top = argparse.ArgumentParser(prog="python -m memvirt.figures", description="Draw columns of a result table.")
    top.add_argument("results", type=Path, metavar="RESULTS", help="a sweep's folder, or a Parquet or CSV file")
    top.add_argument("--where", metavar="CONDITION", help="rows for which it holds: 'mmu == \"nested\" and overcommit.ratio < 2'")
    top.add_argument("--point", metavar="ID", help="rows of one point: the beginning of its point_id")
    top.add_argument(
        "--monitor",
        action="store_true",
        help="draw one point's monitors, over its epochs; by default of the one that waits longest",
    )
    top.add_argument(
        "--locality",
        action="store_true",
        help="draw one point's local shares of data and page tables, over its epochs; by default of that with most remote ones",
    )
    top.add_argument("--x", metavar="COL")
    top.add_argument("--y", metavar="COL")
    top.add_argument("--hue", metavar="COL", help="colours; of a heat map, the value")
    top.add_argument("--col", metavar="COL", help="a panel a value")
    top.add_argument("--kind", help=f"{', '.join(kinds())}; by default line over numbers, bar over names")
    top.add_argument("-o", "--output", type=Path, metavar="FILE", help=".png, .pdf or .svg; by default in the sweep's figures")
    return top


def draw_epochs(kind: str, folder: Path, output: Path | None, condition: str | None, point: str | None) -> Path:
    """Draw one point's epochs, its ``monitor`` or ``locality``: where several are asked for, of one that is said; its path.

    Raises
    ------
    MemvirtError
        If there are no epochs, or none of the point.
    """
    from memvirt.drawing.locality import locality
    from memvirt.drawing.monitor import monitor
    from memvirt.drawing.words import said, short, varied
    from memvirt.figures import save
    from memvirt.result.choose import most_remote, of_point, waited_longest, where
    from memvirt.result.table import read_results

    kinds: dict[str, tuple[Callable[..., Any], Callable[..., str], str]] = {
        "monitor": (monitor, waited_longest, "waits longest"),
        "locality": (locality, most_remote, "has most that is remote"),
    }
    picture, choose, why = kinds[kind]
    if not folder.is_dir():
        raise MemvirtError(f"{folder}: --{kind} needs a sweep's folder, whose epochs.parquet it draws")
    epochs = of_point(where(read_results(folder / "epochs.parquet"), condition), point)
    if epochs.empty:
        raise MemvirtError(f"{folder}: no point has epochs")
    points = epochs["point_id"].nunique()
    chosen = choose(epochs)
    rows = epochs[epochs["point_id"] == chosen]
    rows = rows[rows["replicate"] == rows["replicate"].min()]
    keys = [key for key in varied(epochs) if epochs[key].nunique() > 1 or len(epochs) == len(rows)]
    words = [f"{key}={rows[key].iloc[0]}" for key in keys]
    if points > 1:
        print(f"of {points} points, {chosen[:12]} {why} ({', '.join(words)}); --point and --where choose another")
    title = ", ".join(f"{short(key)}: {said(rows[key].iloc[0])}" for key in keys)
    name = "-".join([kind, *(word.replace("/", "_") for word in words)])
    return save(picture(rows, title=title), output or folder / "figures" / f"{name[:200]}.png")


def run(argv: list[str]) -> None:
    """Draw and save."""
    arguments = parser().parse_args(argv)
    from memvirt.figures import draw, save
    from memvirt.result.choose import of_point, where
    from memvirt.result.table import read_results

    given: Path = arguments.results
    for kind in ("monitor", "locality"):
        if getattr(arguments, kind):
            print(f"wrote {draw_epochs(kind, given, arguments.output, arguments.where, arguments.point)}")
            return
    for option in ("x", "y"):
        if getattr(arguments, option) is None:
            raise MemvirtError(f"--{option} is needed: which column to draw (or --monitor, --locality)")
    frame = of_point(where(read_results(given), arguments.where), arguments.point)
    figure = draw(frame, arguments.kind, arguments.x, arguments.y, arguments.hue, arguments.col)
    output = arguments.output
    if output is None:
        folder = given if given.is_dir() else given.parent
        words = [arguments.y, arguments.x, arguments.hue, arguments.col]
        output = folder / "figures" / ("-".join(word for word in words if word) + ".png")
    print(f"wrote {save(figure, output)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    return run_command("memvirt.figures", run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
