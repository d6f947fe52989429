"""The result table: its schema, and reading and writing it whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from memvirt.errors import MemvirtError
from memvirt.rows import COLUMNS

Row = dict[str, Any]
KINDS = {"int": pa.int64(), "float": pa.float64(), "str": pa.string()}
IDENTITY = {"point_id": pa.string(), "replicate": pa.int64()}
STATUS = {"status": pa.string(), "error": pa.string()}
MEASURED = {name: KINDS[kind] for name, kind in COLUMNS.items()}


def column_type(values: Iterable[Any]) -> pa.DataType:
    """Type of a varied key's column; text where its values are of different kinds."""
    kinds = {type(value) for value in values if value is not None}
    for allowed, kind in (({bool}, pa.bool_()), ({int}, pa.int64()), ({int, float}, pa.float64())):
        if kinds and kinds <= allowed:
            return kind
    return pa.string()


def result_schema(varied: Mapping[str, Iterable[Any]]) -> pa.Schema:
    """Schema of `results.parquet`: varied keys, identity, VM, status, counts."""
    keys = {key: column_type(values) for key, values in varied.items()}
    return pa.schema({**keys, **IDENTITY, "vm": pa.int64(), **STATUS, **MEASURED})


def epoch_schema(varied: Mapping[str, Iterable[Any]]) -> pa.Schema:
    """Schema of `epochs.parquet`: as the result's, of the points that went well, without what only a whole run has."""
    keys = {key: column_type(values) for key, values in varied.items()}
    measured = {name: kind for name, kind in MEASURED.items() if name not in ("slowdown", "refs_per_walk")}
    return pa.schema({**keys, **IDENTITY, "vm": pa.int64(), "epoch": pa.int64(), **measured})


def to_table(rows: list[Row], schema: pa.Schema) -> pa.Table:
    """Make a table of rows; keys that a row lacks are null."""
    arrays = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if field.type == pa.string():
            values = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
        arrays.append(pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place and move it there, so that it is never seen half written.

    Raises
    ------
    MemvirtError
        If the place can't be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(part)
        os.replace(part, path)
    except OSError as wrong:
        raise MemvirtError(f"{path}: {wrong.strerror or wrong}") from wrong


def write_table(table: pa.Table, path: Path) -> None:
    """Write Parquet, or CSV, by the path's ending."""
    if path.suffix == ".csv":
        write_whole(path, lambda part: pyarrow.csv.write_csv(table, part))
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
