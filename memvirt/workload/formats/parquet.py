"""The package's own form (see `memvirt.workload.files`)."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from memvirt.errors import TraceError
from memvirt.types import Accesses
from memvirt.workload.files import VERSION, Recording
from memvirt.workload.sniff import SURE
from memvirt.workload.stream import Sample, Stream

OWN = True


def sniff(sample: Sample) -> float:
    """By Parquet's mark, which tables of others have too: they are told apart when the schema is read."""
    return SURE if sample.head.startswith(b"PAR1") else 0.0


def read_header(path: Path) -> dict[str, Any]:
    """Version, page table and origin of a trace.

    Raises
    ------
    TraceError
        If it is no such file.
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowInvalid, OSError) as wrong:
        raise TraceError(str(path), "", f"is no whole Parquet file ({str(wrong).splitlines()[0]})") from wrong
    if b"memvirt" not in metadata:
        raise TraceError(str(path), "", "is a Parquet file, but no memvirt trace")
    header: dict[str, Any] = json.loads(metadata[b"memvirt"])
    if header.get("version") != VERSION:
        raise TraceError(str(path), "", f"has format version {header.get('version')}; this memvirt reads {VERSION}")
    return header


def read(stream: Stream, limit: int | None = None) -> Recording:
    """Read a trace."""
    path = stream.path
    if path is None:
        raise TraceError(stream.name, "", "is memvirt's own form, which is compressed inside: unpack it, and name the file")
    header = read_header(path)
    try:
        table = pq.read_table(path, columns=["page", "line", "gap"])
    except (pa.ArrowException, OSError, KeyError) as wrong:
        raise TraceError(str(path), "", f"is damaged ({str(wrong).splitlines()[0]})") from wrong
    table = table.slice(0, limit) if limit is not None else table
    columns = [np.ascontiguousarray(table.column(name).to_numpy()) for name in ("page", "line", "gap")]
    vpn = np.cumsum(np.frombuffer(zlib.decompress(base64.b64decode(header["vpn"])), "<u8")).astype(np.uint64)
    if columns[0].size and int(columns[0].max()) >= vpn.size:
        raise TraceError(str(path), "", "is damaged: it touches a page that its page table doesn't have")
    return Recording(vpn, Accesses(*columns), header["about"])
