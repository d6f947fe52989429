"""A measurement's pace: the column ``pages_scanned`` of a CSV, a row for each burst of writes."""

from __future__ import annotations

import csv
from pathlib import Path

from memvirt.errors import ConfigError

COLUMN = "pages_scanned"


def read_schedule(path: str, key: str = "ksm.schedule") -> tuple[int, ...]:
    """Read the pages scanned before each burst; lines that begin with ``#`` are remarks.

    Raises
    ------
    ConfigError
        If there is no such file or column, or its numbers don't ascend.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    except OSError as wrong:
        raise ConfigError(key, path, wrong.strerror or str(wrong)) from None
    except (UnicodeDecodeError, csv.Error):
        raise ConfigError(key, path, "is not a CSV file") from None
    if not rows or rows[0].get(COLUMN) is None:
        raise ConfigError(key, path, f"must be a CSV file with a column {COLUMN} and a row at the least")
    found = []
    for place, row in enumerate(rows, 1):
        try:
            found.append(int(row[COLUMN] or ""))
        except ValueError:
            raise ConfigError(key, path, f"row {place}: {COLUMN} is {row[COLUMN]!r}, not a whole number") from None
        if found[-1] < (found[-2] if place > 1 else 0):
            raise ConfigError(key, path, f"row {place}: {COLUMN} is {found[-1]}, less than in the row before")
    return tuple(found)


def as_schedule(value: object) -> object:
    """Read a schedule that is given by its file."""
    return read_schedule(value, "reclaim.sharing.schedule") if isinstance(value, str) else value
