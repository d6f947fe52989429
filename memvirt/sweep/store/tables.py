"""The sweep's tables, made of its rows in the plan's order, a stretch at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from memvirt.result.table import IDENTITY, as_column, column_type, epoch_columns, for_csv, result_columns, write_whole
from memvirt.sweep.plan.plan import Plan
from memvirt.sweep.plan.todo import Wanted
from memvirt.sweep.store.block import epochs_schema, results_schema
from memvirt.sweep.store.store import Store

STRETCH = 100_000  #: rows made at a time


class Gathered:
    """Rows of many tables in one file on disk, looked up by key.

    Parameters
    ----------
    tables : iterable of pyarrow.Table
        All rows of a key stand together; where a key comes again, the later rows hold.
    schema : pyarrow.Schema
    path : Path
        Of the file.
    """

    def __init__(self, tables: Iterable[pa.Table], schema: pa.Schema, path: Path) -> None:
        self.places: dict[str, tuple[int, int]] = {}
        row, last = 0, None
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for table in tables:
                for batch in table.combine_chunks().to_batches():
                    runs = pc.run_end_encode(batch.column(0))
                    begin = 0
                    for key, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
                        first, length = self.places[key] if key == last else (row + begin, 0)
                        self.places[key] = (first, length + end - begin)
                        begin, last = end, key
                    row += batch.num_rows
                    writer.write_batch(batch)
                last = None
        self._map = pa.memory_map(str(path))
        self.rows = pa.ipc.open_file(self._map).read_all()

    def close(self) -> None:
        """Let go of the file."""
        del self.rows
        self._map.close()


def _stretches(places: Sequence[tuple[int, int]]) -> Iterator[slice]:
    """Cut points into stretches of about `STRETCH` rows."""
    begin = total = 0
    for number, (_, length) in enumerate(places):
        total += length
        if total >= STRETCH:
            yield slice(begin, number + 1)
            begin, total = number + 1, 0
    if begin < len(places) or not places:
        yield slice(begin, len(places))


def varied_fields(plans: Sequence[Plan]) -> list[pa.Field]:
    """Columns of the keys that any of the plans varies, of a type that holds the values of all."""
    names = dict.fromkeys(axis.key for plan in plans for axis in plan.axes)
    return [pa.field(name, column_type([each for plan in plans for each in plan.values(name)[0]])) for name in names]


class Head:
    """The columns that say which point a row is of.

    Parameters
    ----------
    wanted : Wanted
    fields : list of pyarrow.Field
        Of the varied keys.
    """

    def __init__(self, wanted: Wanted, fields: Sequence[pa.Field]) -> None:
        plan, numbers, ids = wanted
        rows, self.replicates = np.divmod(numbers, plan.replicates)
        self.ids = pa.array(ids, pa.string())
        known = [plan.values(field.name) for field in fields]
        self.values = [as_column(values, field.type) for (values, _), field in zip(known, fields, strict=True)]
        self.places = [places[rows] for _, places in known]

    def columns(self, points: NDArray[np.int64]) -> list[pa.Array]:
        """Columns of rows, each of which is of one of the points."""
        varied = [column.take(pa.array(places[points])) for places, column in zip(self.places, self.values, strict=True)]
        return [*varied, self.ids.take(pa.array(points)), pa.array(self.replicates[points], pa.int64())]


def _pieces(gathered: Gathered, head: Head, keys: Sequence[str], schema: pa.Schema) -> Iterator[pa.Table]:
    places = [gathered.places.get(key, (0, 0)) for key in keys]
    starts = np.array([first for first, _ in places], np.int64)
    lengths = np.array([length for _, length in places], np.int64)
    for part in _stretches(places):
        points = np.repeat(np.arange(part.start, part.stop), lengths[part])
        within = np.arange(points.size) - np.repeat(np.cumsum(lengths[part]) - lengths[part], lengths[part])
        rows = gathered.rows.take(pa.array(starts[points] + within)) if points.size else gathered.rows.slice(0, 0)
        columns = [*head.columns(points), *rows.columns[1:]]
        yield pa.Table.from_arrays(columns, schema=schema)


def write_tables(wanted: Sequence[Wanted], store: Store) -> dict[str, int]:
    """Write `results.parquet`, `results.csv` and `epochs.parquet`; each replaces the old one when it is whole.

    Returns
    -------
    dict of int
        Rows by status.

    Raises
    ------
    WriteError
        If they can't be written.
    """
    fields = varied_fields([each.plan for each in wanted])
    heads, seen = [], set[str]()
    for each in wanted:  # a point that several plans ask for has its rows once
        fresh = [place for place, point in enumerate(each.ids) if point not in seen]
        ids = [each.ids[place] for place in fresh]
        seen.update(ids)
        heads.append((Head(Wanted(each.plan, each.numbers[fresh], ids), fields), [store.points[point] for point in ids]))
    statuses: dict[str, int] = {}
    scratch = store.folder / ".rows.arrow"

    def pieces(tables: Iterable[pa.Table], kept: pa.Schema, schema: pa.Schema) -> Iterator[pa.Table]:
        gathered = Gathered(tables, kept, scratch)
        for head, keys in heads:
            yield from _pieces(gathered, head, keys, schema)
        gathered.close()

    def results(part: Path, csv: Path) -> None:
        schema = pa.schema([*fields, *IDENTITY, *result_columns()])
        with pq.ParquetWriter(part, schema, compression="zstd") as writer, pyarrow.csv.CSVWriter(csv, schema) as text:
            for piece in pieces(store.results(), results_schema(), schema):
                writer.write_table(piece)
                text.write_table(for_csv(piece))
                for each in pc.value_counts(piece.column("status")).to_pylist():
                    statuses[each["values"]] = statuses.get(each["values"], 0) + each["counts"]

    def epochs(part: Path) -> None:
        schema = pa.schema([*fields, *IDENTITY, *epoch_columns()])
        with pq.ParquetWriter(part, schema, compression="zstd") as writer:
            for piece in pieces(store.epochs(), epochs_schema(), schema):
                writer.write_table(piece)

    try:
        write_whole(store.folder / "epochs.parquet", epochs)
        write_whole(
            store.folder / "results.csv",
            lambda csv: write_whole(store.folder / "results.parquet", lambda part: results(part, csv)),
        )
    finally:
        scratch.unlink(missing_ok=True)
    return statuses


def plan_table(plan: Plan, ids: Sequence[str]) -> pa.Table:
    """Every row of a plan, in its order: number, varied keys, point, replicate, and how far along each interval it is."""
    numbers = np.arange(len(plan))
    fields = varied_fields([plan])
    columns: dict[str, Any] = {"number": pa.array(numbers)}
    names = [field.name for field in (*fields, *IDENTITY)]
    columns |= dict(zip(names, Head(Wanted(plan, numbers, ids), fields).columns(numbers), strict=True))
    if plan.coordinates is not None:
        for place, axis in enumerate(plan.axes):
            share = plan.coordinates[numbers // plan.replicates, place]
            if not np.isnan(share).all():
                columns[f"share of {axis.key}"] = pa.array(share)
    return pa.table(columns)
