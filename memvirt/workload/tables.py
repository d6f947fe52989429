"""Tables of numbers that lives are read from, CSV or Parquet: columns by name, in any order, others ignored."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from memvirt.digest import file_stamp
from memvirt.errors import TraceError, suggest

Columns = dict[str, NDArray[np.float64]]
Table = tuple[Columns, list[str]]  #: columns, and where in the file each row is
MOST = float(1 << 50)  #: of a number in a table


def by_path(parse: Callable[[Path], Table]) -> Callable[[str], Table]:
    """Make a reader of a table's file, which is parsed once while it doesn't change.

    The reader raises `TraceError`, with the file and, if there is one, the line.
    """

    @lru_cache(maxsize=4)
    def parsed(path: Path, stamp: tuple[int, int]) -> Table:
        return parse(path)

    def read(path: str) -> Table:
        file = Path(path)
        if not file.is_file():
            raise TraceError(path, "", "is a folder" if file.is_dir() else "there is no such file")
        return parsed(file, file_stamp(file))

    return read


def has_columns(path: Path, names: Sequence[str]) -> bool:
    """Whether a file is a table that has two columns or more of these names."""
    try:
        if path.suffix == ".parquet":
            found = pq.read_schema(path).names
        else:
            with path.open(encoding="utf-8-sig", errors="replace") as file:
                lines = (line for line in iter(lambda: file.readline(1 << 16), "") if line.strip() and not line.startswith("#"))
                found = [name.strip() for name in next(lines, "").split(",")]
    except (OSError, pa.ArrowException, ValueError):
        return False
    return len(set(found) & set(names)) > 1


def _csv(path: Path, wanted: Sequence[str]) -> tuple[list[str], dict[str, list[str]], list[int]]:
    """Names of all columns, the texts of those wanted, and the line of each row; lines that begin with ``#`` are remarks."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = [(number, line) for number, line in enumerate(file, 1) if line.strip() and not line.startswith("#")]
    rows = list(csv.reader(line for _, line in lines))
    if not rows:
        raise TraceError(str(path), "", "is empty")
    names = [name.strip() for name in rows[0]]
    for (number, _), row in zip(lines[1:], rows[1:], strict=False):
        if len(row) != len(names):
            raise TraceError(str(path), f"line {number}", f"has {len(row)} columns, the first line {len(names)}")
    texts = {name: [row[names.index(name)] for row in rows[1:]] for name in wanted if name in names}
    return names, texts, [number for number, _ in lines[1:]]


def read_table(path: Path, needed: Sequence[str], optional: Mapping[str, float]) -> Table:
    """Read columns of numbers.

    Parameters
    ----------
    path : Path
        A Parquet file if it ends so, else CSV.
    needed : sequence of str
        Columns that must be there.
    optional : mapping
        Others, and what stands for one that isn't there.

    Returns
    -------
    dict of (n,) float64
        No negative ones, and none that isn't finite.
    list of str
        Where in the file each row is.

    Raises
    ------
    TraceError
        With the file and the line.
    """
    wanted = [*needed, *optional]
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            names = table.column_names
            texts = {name: table.column(name).to_pylist() for name in wanted if name in names}
            where = [f"row {number}" for number in range(1, table.num_rows + 1)]
        else:
            names, texts, lines = _csv(path, wanted)
            where = [f"line {number}" for number in lines]
    except OSError as wrong:
        raise TraceError(str(path), "", wrong.strerror or str(wrong)) from None
    except (UnicodeDecodeError, csv.Error, pa.ArrowException):
        raise TraceError(str(path), "", "is neither a CSV file nor a Parquet file") from None
    for name in needed:
        if name not in names:
            raise TraceError(str(path), "", f"has no column {name}; {suggest(name, names)}".removesuffix("; "))
    if not where:
        raise TraceError(str(path), "", "has no row")
    columns = {name: np.full(len(where), value) for name, value in optional.items() if name not in texts}
    for name, found in texts.items():
        columns[name] = np.array([_number(path, place, name, text) for place, text in zip(where, found, strict=True)])
    return columns, where


def _number(path: Path, where: str, name: str, text: object) -> float:
    try:
        number = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TraceError(str(path), where, f"{name} is {text!r}, not a number") from None
    if not (math.isfinite(number) and 0 <= number <= MOST):
        raise TraceError(str(path), where, f"{name} is {text}; it must be from 0 to 2 ** 50")
    return number


def rows_of_vm(columns: Columns, where: list[str], path: Path, vm: int) -> Columns:
    """The rows of one VM, in their order; if there are fewer VMs than that, they are gone round.

    Raises
    ------
    TraceError
        If their times go back.
    """
    numbers = np.unique(columns["vm"])
    mine = np.flatnonzero(columns["vm"] == numbers[vm % numbers.size])
    rows = {name: column[mine] for name, column in columns.items()}
    back = np.flatnonzero(np.diff(rows["time"]) < 0)
    if back.size:
        late = int(back[0]) + 1
        raise TraceError(str(path), where[mine[late]], f"time is {rows['time'][late]:g}, before the row above")
    return rows
