"""Rows of many results in one piece: how they travel from a worker to the disk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from memvirt.result.rows import Columns
from memvirt.result.table import epoch_columns, result_columns


class Block(NamedTuple):
    """Arrow IPC streams of result rows and of epoch rows.

    Attributes
    ----------
    results, epochs : bytes
        Their column ``key`` says which result a row is of.
    """

    results: bytes
    epochs: bytes


KEY = pa.field("key", pa.string())


@cache
def results_schema() -> pa.Schema:
    """Of a block's result rows."""
    return pa.schema([KEY, *result_columns()])


@cache
def epochs_schema() -> pa.Schema:
    """Of its epoch rows."""
    return pa.schema([KEY, *epoch_columns()])


def _table(schema: pa.Schema, keys: Sequence[str], parts: Sequence[Columns], fixed: dict[str, Any]) -> pa.Table:
    lengths = [len(part["vm"]) for part in parts]
    total = sum(lengths)
    arrays = []
    for field in schema:
        if field.name == "key":
            codes = pa.array(np.repeat(np.arange(len(keys), dtype=np.int32), lengths))
            arrays.append(pa.array(keys, pa.string()).take(codes))
        elif field.name in fixed:
            arrays.append(pa.repeat(pa.scalar(fixed[field.name], field.type), total))
        elif parts and field.name in parts[0]:
            pieces = [part[field.name] for part in parts]
            whole = [text for piece in pieces for text in piece] if isinstance(pieces[0], list) else np.concatenate(pieces)
            arrays.append(pa.array(whole, field.type))
        else:
            arrays.append(pa.nulls(total, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def to_bytes(table: pa.Table) -> bytes:
    """Write a table as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def from_bytes(data: bytes, schema: pa.Schema) -> pa.Table:
    """Read it again, without a copy.

    Raises
    ------
    ValueError
        If the bytes hold no such table.
    """
    try:
        table = pa.ipc.open_stream(pa.py_buffer(data)).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError) as wrong:
        raise ValueError(f"no table: {wrong}") from wrong
    if not table.schema.equals(schema):
        raise ValueError("a table of other columns")
    return table


def pack(results: Sequence[tuple[str, Columns, Columns]]) -> Block:
    """Put (key, result columns, epoch columns) of several results into one block.

    Results whose columns differ (modes that count other things) are put beside each other, null where one lacks a column.
    """
    tables: list[list[pa.Table]] = [[], []]
    groups: dict[tuple[str, ...], list[tuple[str, Columns, Columns]]] = {}
    for each in results:
        groups.setdefault(tuple(each[1]), []).append(each)
    for group in groups.values():
        keys = [key for key, _, _ in group]
        tables[0].append(_table(results_schema(), keys, [columns for _, columns, _ in group], {"status": "ok", "error": ""}))
        tables[1].append(_table(epochs_schema(), keys, [columns for _, _, columns in group], {}))
    return Block(*(to_bytes(pa.concat_tables(each)) for each in tables))


def failure(key: str, status: str, error: str, vms: int) -> Block:
    """Make the rows of a point that has no result: one a VM, without counts."""
    columns: Columns = {"vm": np.arange(vms)}
    rows = _table(results_schema(), [key], [columns], {"status": status, "error": error})
    return Block(to_bytes(rows), to_bytes(epochs_schema().empty_table()))
