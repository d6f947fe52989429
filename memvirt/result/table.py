"""The result table: its schema, and reading and writing it whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from memvirt.counters import Column, Counter
from memvirt.errors import MemvirtError, WriteError
from memvirt.result.rows import columns

KINDS = {"int": pa.int64(), "float": pa.float64(), "str": pa.string()}
#: What tells a row from the others, and what became of its point, before what is measured.
ABOUT = (
    Column("point_id", "", doc="hash of the point's config, memvirt's version and the traces' content", kind="str"),
    Column("replicate", "", doc="which replicate", kind="int"),
    Column("vm", "", doc="which VM", kind="int"),
    Column("epoch", "", doc="which epoch, from 1 on; those before are warm-up", kind="int", tables=("epochs",)),
    Column("status", "", doc="`ok`, `error`, `crashed` (its worker died each time) or `timeout`", kind="str", tables=("results",)),
    Column("error", "", doc="why it has no result", kind="str", tables=("results",)),
)


def _fields(found: Iterable[Counter | Column]) -> list[pa.Field]:
    return [pa.field(name, KINDS[each.kind]) for each in found for name in each.names]


#: What is known of a point besides its varied keys.
IDENTITY = _fields(ABOUT[:2])


@cache
def result_columns() -> list[pa.Field]:
    """What is known of each VM besides its point."""
    return _fields([*(each for each in ABOUT[2:] if "results" in each.tables), *columns("results")])


@cache
def epoch_columns() -> list[pa.Field]:
    """What is known of each VM and epoch besides its point."""
    return _fields([*(each for each in ABOUT[2:] if "epochs" in each.tables), *columns("epochs")])


def column_type(values: Iterable[Any]) -> pa.DataType:
    """Type of a varied key's column; text where its values are of different kinds."""
    kinds = {type(value) for value in values if value is not None}
    for allowed, kind in (({bool}, pa.bool_()), ({int}, pa.int64()), ({int, float}, pa.float64())):
        if kinds and kinds <= allowed:
            return kind
    return pa.string()


def as_column(values: Iterable[Any], kind: pa.DataType) -> pa.Array:
    """Make a varied key's column of its values."""
    listed = list(values)
    if kind == pa.string():
        listed = [value if value is None or isinstance(value, str) else json.dumps(value) for value in listed]
    return pa.array(listed, kind)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place and move it there, so that it is never seen half written.

    Raises
    ------
    WriteError
        If the place can't be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(part)
        os.replace(part, path)
    except OSError as wrong:
        raise WriteError(path, wrong) from wrong
    finally:
        with contextlib.suppress(OSError):  # half a file, which would be in the way on a full disk
            part.unlink(missing_ok=True)


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def harmless(text: str | None) -> str | None:
    """A text as it may stand in a CSV cell: one that a spreadsheet would take for a formula gets an apostrophe."""
    begins = text is not None and text[:1] in ("=", "+", "-", "@", "\t", "\r") and text != ""
    return f"'{text}" if begins and not _NUMBER.fullmatch(str(text)) else text


def for_csv(table: pa.Table) -> pa.Table:
    """The table with its texts `harmless`."""
    for place, field in enumerate(table.schema):
        column = table.column(place)
        if field.type == pa.string() and pc.any(pc.match_substring_regex(column, r"^[=+\-@\t\r]")).as_py():
            table = table.set_column(place, field, pa.array(map(harmless, column.to_pylist()), pa.string()))
    return table


def write_table(table: pa.Table, path: Path) -> None:
    """Write Parquet, or CSV, by the path's ending."""
    if path.suffix == ".csv":
        write_whole(path, lambda part: pyarrow.csv.write_csv(for_csv(table), part))
    else:
        write_whole(path, lambda part: pyarrow.parquet.write_table(table, part, compression="zstd"))


def read_results(path: Path) -> pd.DataFrame:
    """Read a result table.

    Parameters
    ----------
    path : Path
        A sweep's folder, or a Parquet or CSV file.

    Raises
    ------
    MemvirtError
        If there is none, or it can't be read.
    """
    if path.is_dir():
        path = path / "results.parquet"
    if not path.is_file():
        raise MemvirtError(f"{path}: there is no such result table")
    try:
        return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except (OSError, ValueError, pa.ArrowException) as wrong:
        raise MemvirtError(f"{path}: is not a result table: {' '.join(str(wrong).split())}") from wrong
