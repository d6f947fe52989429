"""A Parquet table of one's own with named columns: as ``csv``."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from memvirt.errors import TraceError
from memvirt.workload.batch import Batch, Options
from memvirt.workload.columns import Reader, find_columns, read_batches
from memvirt.workload.formats.parquet import is_table
from memvirt.workload.sniff import SURE
from memvirt.workload.stream import Sample, Stream

ROWS = 1 << 16  #: that are read at a time
MOST_BYTES = 1 << 28  #: of a row group's columns that are read, not compressed


def sniff(sample: Sample) -> float:
    """By Parquet's mark, and a schema that isn't memvirt's own."""
    return SURE if sample.head.startswith(b"PAR1") and is_table(sample.path) else 0.0


def read(stream: Stream, options: Options) -> Iterator[Batch]:
    """Read a trace."""
    if stream.path is None:
        raise TraceError(stream.name, "", "is a Parquet file, which is compressed inside: unpack it, and name the file")
    rows = 0
    try:
        file = pq.ParquetFile(stream.path, arrow_extensions_enabled=False)
        names = file.schema_arrow.names
        found = find_columns(names, options.columns, stream.name)
        if len(set(names)) < len(names):
            raise TraceError(stream.name, "", "has two columns of one name")
        for number in range(file.metadata.num_row_groups):
            if file.metadata.row_group(number).total_byte_size > MOST_BYTES * len(names):
                raise TraceError(
                    stream.name, f"row group {number}", f"is larger than {MOST_BYTES >> 20} MiB a column: write smaller ones"
                )
        reader = Reader(stream, found, lambda row: f"row {row}")
        tables = file.iter_batches(ROWS, columns=sorted({names[place] for place in found.values()}), use_threads=False)
        for batch in read_batches(tables, names, found, reader, options):
            rows = reader.rows
            yield batch
    except (pa.ArrowException, OSError, ValueError, KeyError) as wrong:
        said = (str(wrong).splitlines() or [type(wrong).__name__])[0]
        raise TraceError(stream.name, f"after row {rows}", f"is damaged ({said[:200]})") from None
