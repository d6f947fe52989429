"""`python -m memvirt.compare`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from memvirt.command import run_command
from memvirt.errors import ConfigError

FEW = 8  #: rows and keys that are listed


def parser() -> argparse.ArgumentParser:
    """Describe the arguments."""
    top = argparse.ArgumentParser(
        prog="python -m memvirt.compare",
        description="Match two sweeps' rows by what was varied, and say what differs. Exit 0 if nothing does, 1 if something does.",
    )
    top.add_argument("first", type=Path, metavar="A", help="a sweep's folder")
    top.add_argument("second", type=Path, metavar="B", help="another")
    top.add_argument("--tolerance", default="0", metavar="SHARE", help="relative difference that counts as none: 0.01")
    top.add_argument("--columns", metavar="COL,COL", help="what is compared; by default all that both have")
    return top


def _tolerance(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < 1:
        raise ConfigError("--tolerance", text, "must be a share from 0 to below 1")
    return found


def _value(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _few(listed: Sequence[str]) -> str:
    more = f"; and {len(listed) - FEW:,} more" if len(listed) > FEW else ""
    return "; ".join(listed[:FEW]) + more


def lines(found: Any) -> Iterator[str]:
    """What a `memvirt.compare.Comparison` says, line by line."""
    yield f"rows matched by {', '.join(found.keys)}: {found.matched:,}"
    for name, rows in zip("AB", found.only, strict=True):
        if rows:
            yield f"only in {name}: {len(rows):,} rows: {_few(rows)}"
    if found.config:
        yield "configs differ in " + _few([f"{key}: {first} in A, {second} in B" for key, first, second in found.config])
    for name, columns in zip("AB", found.lacking, strict=True):
        if columns:
            yield f"columns only in {name}: {', '.join(columns)}"
    if found.columns:
        width = max(len(each.column) for each in found.columns)
        yield f"{'column':<{width}}{'rows':>8}{'largest':>10}{'A':>14}{'B':>14}  at"
        for each in found.columns:
            share = "" if math.isinf(each.largest) else f"{100 * each.largest:.3g} %"
            yield f"{each.column:<{width}}{each.rows:>8,}{share:>10}{_value(each.first):>14}{_value(each.second):>14}  {each.where}"
    yield "the same" if found.same else f"{len(found.columns)} columns differ, {sum(map(len, found.only)):,} rows are in one alone"


def run(argv: list[str]) -> int:
    """Compare; 1 if something differs."""
    arguments = parser().parse_args(argv)
    tolerance = _tolerance(arguments.tolerance)
    from memvirt.compare import compare

    found = compare(arguments.first, arguments.second, tolerance, arguments.columns.split(",") if arguments.columns else None)
    for line in lines(found):
        print(line)
    return 0 if found.same else 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    return run_command("memvirt.compare", run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
