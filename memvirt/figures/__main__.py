"""`python -m memvirt.figures`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from memvirt.command import run_command
from memvirt.errors import MemvirtError

MOST_MONITORS = 24  #: points whose monitors are drawn


def parser() -> argparse.ArgumentParser:
    """Describe the arguments."""
    from memvirt.figures import kinds

    top = argparse.ArgumentParser(prog="python -m memvirt.figures", description="Draw columns of a result table.")
    top.add_argument("results", type=Path, metavar="RESULTS", help="a sweep's folder, or a Parquet or CSV file")
    top.add_argument("--monitor", action="store_true", help="draw each point's monitors, over its epochs; needs no columns")
    top.add_argument("--x", metavar="COL")
    top.add_argument("--y", metavar="COL")
    top.add_argument("--hue", metavar="COL", help="colours; of a heat map, the value")
    top.add_argument("--col", metavar="COL", help="a panel a value")
    top.add_argument("--kind", help=f"{', '.join(kinds())}; by default line over numbers, bar over names")
    top.add_argument("-o", "--output", type=Path, metavar="FILE", help=".png, .pdf or .svg; by default in the sweep's figures")
    return top


def monitors(folder: Path, output: Path | None) -> list[Path]:
    """Draw each point's monitors; the paths of the pictures.

    Raises
    ------
    MemvirtError
        If there are no epochs, or too many points.
    """
    from memvirt.drawing.monitor import monitor
    from memvirt.figures import save
    from memvirt.result.table import read_results

    if not folder.is_dir():
        raise MemvirtError(f"{folder}: --monitor needs a sweep's folder, whose epochs.parquet it draws")
    epochs = read_results(folder / "epochs.parquet")
    varied = list(epochs.columns[: epochs.columns.get_loc("point_id")])
    points = list(epochs.groupby([*varied, "replicate"], sort=False, dropna=False))
    if not 1 <= len(points) <= MOST_MONITORS:
        raise MemvirtError(f"{folder}: {len(points)} points have epochs; --monitor draws from 1 to {MOST_MONITORS}")
    paths = []
    for values, rows in points:
        words = [f"{key}={value}" for key, value in zip([*varied, "replicate"], values, strict=True)]
        name = "-".join(["monitor", *words[: -1 if epochs["replicate"].nunique() == 1 else None]])
        place = output or folder / "figures" / f"{name}.png"
        if output is not None and len(points) > 1:
            place = output.with_stem(f"{output.stem}-{name}")
        paths.append(save(monitor(rows), place))
    return paths


def run(argv: list[str]) -> None:
    """Draw and save."""
    arguments = parser().parse_args(argv)
    from memvirt.figures import draw, save
    from memvirt.result.table import read_results

    given: Path = arguments.results
    if arguments.monitor:
        for path in monitors(given, arguments.output):
            print(f"wrote {path}")
        return
    for option in ("x", "y"):
        if getattr(arguments, option) is None:
            raise MemvirtError(f"--{option} is needed: which column to draw (or --monitor)")
    frame = read_results(given)
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
