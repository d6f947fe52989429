"""CSV with named columns: an address, a page or an object a row, and whether it is written; libCacheSim's requests too.

The first line names the columns (``# time, object, size``); ``--columns address=vaddr,rw=op`` says which they are where their
names don't, and counts them from 1 where there are none. Separated by commas, semicolons, tabs or bars.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc

from memvirt.errors import TraceError
from memvirt.workload.batch import Batch, Options
from memvirt.workload.columns import NAMES, PLACES, Reader, find_columns, read_batches
from memvirt.workload.sniff import LIKELY
from memvirt.workload.stream import Sample, Stream

BLOCK = 1 << 20
SEPARATORS = ",;\t|"


def _header(sample: Sample) -> tuple[list[str], str]:
    """Words of the first line, and what separates them."""
    first = next(iter(sample.lines(1)), "").lstrip("# ")
    separator = max(SEPARATORS, key=first.count)
    return [word.strip().strip('"') for word in first.split(separator)] if separator in first or first else [], separator


def sniff(sample: Sample) -> float:
    """By the names of its columns, one of which must say where an access goes."""
    words, separator = _header(sample)
    known = {each for what in PLACES for each in NAMES[what]}
    lines = sample.lines()
    named = any(word.lower() in known for word in words)
    even = len(lines) > 1 and all(line.count(separator) == len(words) - 1 for line in lines[1:] if line.strip())
    return LIKELY if named and even else 0.0


def explain(sample: Sample) -> str:
    """Tell tables none of whose columns is known to say where an access goes."""
    words, separator = _header(sample)
    lines = [line for line in sample.lines() if line.strip()]
    even = len(words) > 1 and len(lines) > 1 and all(line.count(separator) == len(words) - 1 for line in lines[1:])
    named = all(word and not word[0].isdigit() for word in words)
    if not even or not named:
        return ""
    names = ", ".join(words)[:200]
    return f"is a table with columns {names}: --format csv --columns address=NAME (or page=, or object=) says which it is"


class _File:
    """A stream as pyarrow reads files."""

    closed = False

    def __init__(self, stream: Stream) -> None:
        self.read = stream.read

    def readable(self) -> bool:
        """Say that it is."""
        return True


def read(stream: Stream, options: Options) -> Iterator[Batch]:
    """Read a trace."""
    words, separator = _header(stream.sample())
    if not words:
        raise TraceError(stream.name, "", "is no CSV file")
    headless = all(word.replace("0x", "").strip().isalnum() and word[:1].isdigit() for word in words if word)
    found = find_columns(words, options.columns, stream.name)
    names = [f"column{number}" for number in range(len(words))]
    used = [names[place] for place in found.values()]
    reader = Reader(stream, found, lambda row: f"line {row + (1 if headless else 2)}")
    try:
        table = pc.open_csv(
            pa.PythonFile(_File(stream), "r"),
            pc.ReadOptions(use_threads=False, block_size=BLOCK, column_names=names, skip_rows=0 if headless else 1),
            pc.ParseOptions(delimiter=separator),
            pc.ConvertOptions(
                column_types=dict.fromkeys(used, pa.string()), include_columns=sorted(set(used)), strings_can_be_null=False
            ),
        )
        yield from read_batches(_batches(table), names, found, reader, options)
    except pa.ArrowException as wrong:
        said = (str(wrong).splitlines() or ["?"])[0]
        raise TraceError(stream.name, f"after line {reader.rows + 1}", f"is no even CSV ({said[:200]})") from None


def _batches(table: Any) -> Iterator[Any]:
    while True:
        try:
            yield table.read_next_batch()
        except StopIteration:
            return
