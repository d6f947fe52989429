"""Tables of numbers that lives are read from, CSV or Parquet: columns by name (theirs, or `workload.columns`), in any order."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from memvirt.digest import file_stamp
from memvirt.errors import TraceError, suggest
from memvirt.workload.exports import DAY, by_terms, is_clock, read_rows, seconds, stated_columns

Columns = dict[str, NDArray[np.float64]]
Table = tuple[Columns, list[str]]  #: columns, and where in the file each row is
MOST_NAMED = 12  #: columns that an error names
MOST = float(1 << 50)  #: of a number in a table


class Read(Protocol):
    """Reads a table's file; ``columns`` is `workload.columns`."""

    def __call__(self, path: str, columns: str = "") -> Table:
        """Its columns, and where its rows are."""


def by_path(parse: Callable[[Path, str], Table]) -> Read:
    """Make a reader of a table's file, which is parsed once while it doesn't change.

    The reader raises `TraceError`, with the file and, if there is one, the line.
    """

    @lru_cache(maxsize=4)
    def parsed(path: Path, columns: str, stamp: tuple[int, int]) -> Table:
        return parse(path, columns)

    def read(path: str, columns: str = "") -> Table:
        file = Path(path)
        if not file.is_file():
            raise TraceError(path, "", "is a folder" if file.is_dir() else "there is no such file")
        return parsed(file, columns, file_stamp(file))

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


def read_table(path: Path, needed: Sequence[str], optional: Mapping[str, float], columns: str = "") -> Table:
    """Read columns of numbers.

    Parameters
    ----------
    path : Path
        A Parquet file if it ends so, else a text (`memvirt.workload.exports`).
    needed : sequence of str
        Columns that must be there.
    optional : mapping
        Others, and what stands for one that isn't there.
    columns : str
        What they are in the table: `workload.columns`.

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
    ConfigError
        For columns that are stated badly.
    """
    wanted = [*needed, *optional]
    stated = stated_columns(columns, wanted)
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            names = list(table.column_names)
            where = [f"row {number}" for number in range(1, table.num_rows + 1)]
            texts = {name: table.column(place).to_pylist() for place, name in enumerate(names)}
        else:
            names, rows, lines = read_rows(path)
            where = [f"line {number}" for number in lines]
            texts = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)) if rows else {}
    except OSError as wrong:
        raise TraceError(str(path), "", wrong.strerror or str(wrong)) from None
    except (UnicodeDecodeError, csv.Error, pa.ArrowException):
        raise TraceError(str(path), "", "is neither a CSV file nor a Parquet file") from None
    parts = by_terms({name: stated.get(name, name) for name in wanted if name in stated or name in names}, names, path)
    for name in needed:
        if name not in parts:
            hint = f"{suggest(name, names[:MOST_NAMED])}; " if names else ""
            raise TraceError(str(path), "", f"has no column {name}; {hint}workload.columns='{name}:COLUMN' names another")
    if not where:
        raise TraceError(str(path), "", "has no row")
    found = {name: np.full(len(where), value) for name, value in optional.items() if name not in parts}
    for name, each in parts.items():
        read = _times if name == "time" else _numbers
        total = sum(sign * read(path, where, word, texts[word]) for sign, word in each)
        found[name] = np.asarray(total, float)
        low = np.flatnonzero(found[name] < 0)
        if low.size:
            what = stated.get(name, name)
            raise TraceError(str(path), where[int(low[0])], f"{what} is {found[name][low[0]]:g}; it must be from 0 to 2 ** 50")
    return found, where


def _numbers(path: Path, where: list[str], name: str, texts: Sequence[object]) -> NDArray[np.float64]:
    return np.array([_number(path, place, name, text) for place, text in zip(where, texts, strict=True)])


def _times(path: Path, where: list[str], name: str, texts: Sequence[object]) -> NDArray[np.float64]:
    """Times in seconds; those of day go on after midnight."""
    found = np.empty(len(where))
    days = 0.0
    for row, (place, text) in enumerate(zip(where, texts, strict=True)):
        try:
            found[row] = seconds(str(text))
        except ValueError:
            raise TraceError(str(path), place, f"{name} is {text!r}, not a number, a date or a time of day") from None
        if is_clock(str(text)):
            days += DAY if row and found[row] + days < found[row - 1] - DAY / 2 else 0.0
            found[row] += days
        _number(path, place, name, found[row])
    return found


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
