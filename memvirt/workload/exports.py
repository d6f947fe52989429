"""Tables of text as tools export them: CSV, `sadf -d`, `sar`, `virsh dommemstat`, and Prometheus' range queries (JSON)."""

from __future__ import annotations

import csv
import datetime
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from memvirt.errors import ConfigError, TraceError

SEPARATORS = ",;\t|"
CLOCK = re.compile(r"(\d{1,2}):(\d\d):(\d\d)(?: ?([AP])M)?")
VALUE = re.compile(r"([a-z_]+) (\d+)")
DAY = 86400.0
LONGEST_NAME = 60  #: characters of a column's name that count


class Rows(NamedTuple):
    """A table of texts: names of columns, rows, and the line of each (of what has no lines, its number)."""

    names: list[str]
    rows: list[list[str]]
    lines: list[int]


def read_rows(path: Path) -> Rows:
    """Read a text of any of these forms, told by its beginning.

    Raises
    ------
    TraceError
        If it is empty, or uneven.
    UnicodeDecodeError, csv.Error, OSError
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = [(number, line) for number, line in enumerate(file, 1) if line.strip()]
    if not lines:
        raise TraceError(str(path), "", "is empty")
    first = lines[0][1]
    if first.startswith("Linux "):
        return _sar(lines[1:], path)
    if first.startswith("{"):
        return _prometheus("".join(line for _, line in lines), path)
    if all(VALUE.fullmatch(line.strip()) for _, line in lines[:3]) and len(lines) > 2:
        return _blocks(lines, path)
    return _csv(lines, path)


def _csv(lines: list[tuple[int, str]], path: Path) -> Rows:
    """Separated by what the first line has most of; lines with ``#`` are remarks, but for a first one with semicolons."""
    if lines[0][1].startswith("# ") and lines[0][1].count(";") > 1:
        lines = [(lines[0][0], lines[0][1][2:]), *lines[1:]]
    lines = [(number, line) for number, line in lines if not line.startswith("#")]
    if not lines:
        raise TraceError(str(path), "", "is empty")
    separator = max(SEPARATORS, key=lines[0][1].count)
    rows = list(csv.reader((line for _, line in lines), delimiter=separator))
    names = [" ".join(name.split())[:LONGEST_NAME] for name in rows[0]]
    for (number, _), row in zip(lines[1:], rows[1:], strict=False):
        if len(row) != len(names):
            raise TraceError(str(path), f"line {number}", f"has {len(row)} columns, the first line {len(names)}")
    return Rows(names, rows[1:], [number for number, _ in lines[1:]])


def _sar(lines: list[tuple[int, str]], path: Path) -> Rows:
    """Sections of sar's text with the columns of the first: the time, then a number a column."""
    names: list[str] = []
    rows, places = [], []
    mine = False
    for number, line in lines:
        clock = CLOCK.match(line)
        if clock is None:  # the average of all, a restart
            continue
        words = line[clock.end() :].split()
        if words and not words[0][0].isdigit():
            names = names or words
            mine = words == names
        elif mine and len(words) == len(names):
            rows.append([clock[0], *words])
            places.append(number)
        elif mine:
            raise TraceError(str(path), f"line {number}", f"has {len(words)} columns, its heading {len(names)}")
    return Rows(["time", *names], rows, places)


def _blocks(lines: list[tuple[int, str]], path: Path) -> Rows:
    """Blocks of a name and a number a line; one begins where its first name comes again."""
    rows: list[dict[str, str]] = []
    places = []
    for number, line in lines:
        match = VALUE.fullmatch(line.strip())
        if match is None:
            raise TraceError(str(path), f"line {number}", f"is no name with a number: {line.strip()[:60]!r}")
        if not rows or match[1] in rows[-1]:
            rows.append({})
            places.append(number)
        rows[-1][match[1]] = match[2]
    names = list(rows[0])
    for place, row in zip(places, rows, strict=True):
        if list(row) != names:
            raise TraceError(str(path), f"line {place}", f"begins a block without the names of the first: {', '.join(names)}")
    return Rows(names, [list(row.values()) for row in rows], places)


def _prometheus(text: str, path: Path) -> Rows:
    """A column a metric (``__name__``), a row a time that all of them have; ``instance`` tells VMs apart."""
    try:
        found: dict[tuple[str, float], dict[str, str]] = {}
        names: list[str] = []
        for series in json.loads(text)["data"]["result"]:
            name, instance = series["metric"]["__name__"], series["metric"].get("instance", "")
            names += [] if name in names else [name]
            for time, value in series["values"]:
                found.setdefault((str(instance), float(time)), {})[str(name)] = str(value)
    except (ValueError, KeyError, TypeError, RecursionError) as wrong:
        raise TraceError(str(path), "", f"is no answer to a range query of Prometheus ({type(wrong).__name__}: {wrong})") from None
    instances = sorted({instance for instance, _ in found})
    rows = [
        [repr(time), str(instances.index(instance)), *(row[name] for name in names)]
        for (instance, time), row in sorted(found.items())
        if len(row) == len(names)
    ]
    return Rows(["time", "vm", *names], rows, list(range(1, len(rows) + 1)))


def seconds(text: str) -> float:
    """Read a time: a number of seconds, a date and time, or a time of day.

    Raises
    ------
    ValueError
        If it is none of them.
    """
    if match := CLOCK.fullmatch(text.strip()):
        hour = int(match[1]) % 12 + 12 * (match[4] == "P") if match[4] else int(match[1])
        return hour * 3600.0 + int(match[2]) * 60 + int(match[3])
    try:
        return float(text)
    except ValueError:
        moment = datetime.datetime.fromisoformat(text.strip().removesuffix(" UTC"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def is_clock(text: str) -> bool:
    """Whether a time is one of day, which begins again at midnight."""
    return CLOCK.fullmatch(text.strip()) is not None


def stated_columns(text: str, known: Sequence[str]) -> dict[str, str]:
    """Read `workload.columns`: ``time:timestamp touched:kbmemused-kbcached``.

    Raises
    ------
    ConfigError
        If it isn't NAME:COLUMN, with blanks between.
    """
    stated = {}
    for part in text.split():
        name, colon, column = part.partition(":")
        if not colon or not column:
            raise ConfigError(
                "workload.columns", text, f"{part} is no NAME:COLUMN; write time:timestamp touched:kbmemused-kbcached"
            )
        if name not in known:
            raise ConfigError("workload.columns", text, f"a table has no {name}", known)
        stated[name] = column
    return stated


def terms(column: str, names: Sequence[str]) -> list[tuple[int, str]] | None:
    """Columns that a stated one is the sum of, with their signs; None if one of them isn't there."""
    if column in names:
        return [(1, column)]
    found = [(-1 if sign == "-" else 1, word) for sign, word in re.findall(r"([+-]?)([^+-]+)", column)]
    return found if found and all(word in names for _, word in found) else None


def by_terms(stated: Mapping[str, str], names: Sequence[str], path: Path) -> dict[str, list[tuple[int, str]]]:
    """Terms of each stated column.

    Raises
    ------
    TraceError
        If a table has no such column.
    """
    found = {}
    for name, column in stated.items():
        its = terms(column, names)
        if its is None:
            raise TraceError(
                str(path), "", f"has no column {column} for {name} (workload.columns); it has {', '.join(names)[:300]}"
            )
        found[name] = its
    return found
