"""Pages that were visited, from a table, CSV or Parquet, as idle-page tracking or PEBS can make it; or from what others write.

Columns: ``time`` (s), when a step begins; ``first`` and ``pages``, a run of page numbers of 4 KiB; ``written``, how many of these
are written, from the first on; ``visits`` in the step, spread evenly over the run. Optional: ``vm`` (VM v takes the v-th of them);
``file``, 1 for a run of a file's pages, which the guest caches and can read again from its disk, 0 for a program's own (a page is
a file's if some row says so); and ``busy``, the vCPUs that are busy in the step (else `workload.busy`). A step lasts until the
next one of its VM; the last, as long as the one before.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memvirt.digest import file_stamp
from memvirt.errors import ConfigError, TraceError
from memvirt.workload.life import EXTENT, FILES, FREED, LOOPS, NO_FILES, Asked, Life
from memvirt.workload.sniff import LEAST, scores
from memvirt.workload.stream import open_stream
from memvirt.workload.tables import Columns, Table, by_path, has_columns, read_table, rows_of_vm
from memvirt.workload.visited import as_columns, read_once

OPTIONS: dict[str, Any] = {"busy": 1.0, "loop": "open", "step": 1.0, "written": 0.3, "columns": ""}
DETAIL = {"name": "zipf"}
NEEDED = ("time", "first", "pages", "written", "visits")
MOST_PAGES = (1 << 31) - 1


def _parse(path: Path, names: str) -> Table:
    """Read and check a table."""
    columns, where = read_table(path, NEEDED, {"vm": 0.0, "file": 0.0, "busy": np.nan}, names)
    for row, place in enumerate(where):
        first, pages, written, visits = (columns[name][row] for name in NEEDED[1:])
        for name in NEEDED[1:]:
            if columns[name][row] % 1:
                raise TraceError(str(path), place, f"{name} is {columns[name][row]:g}, not a whole number")
        if not pages:
            raise TraceError(str(path), place, "pages is 0")
        if columns["file"][row] not in (0, 1):
            raise TraceError(str(path), place, f"file is {columns['file'][row]:g}; it must be 0 or 1")
        if written > pages:
            raise TraceError(str(path), place, f"written is {written:.0f}, more than the run's {pages:.0f} pages")
        if first + pages > MOST_PAGES:
            raise TraceError(str(path), place, f"ends at page {first + pages:.0f}, beyond 31-bit numbers")
        if visits > 1000 * pages:
            raise TraceError(str(path), place, f"visits is {visits:.0f}, more than 1,000 a page: what does a visit stand for?")
    return columns, where


read = by_path(_parse)


@lru_cache(maxsize=16)
def _is_table(path: Path, stamp: tuple[int, int]) -> bool:
    if has_columns(path, NEEDED):
        return True
    with open_stream(path) as stream:
        return max(scores(stream.sample()).values()) < LEAST


def is_table(path: str, columns: str = "") -> bool:
    """Whether a file is a table, well made or not, and not of a format that others write; it is, where columns are stated."""
    return bool(columns) or _is_table(Path(path), file_stamp(Path(path)))


def _check_file(path: str, columns: str = "") -> None:
    """Check a table; what else there may be is read when a life is made of it."""
    if not Path(path).is_file() or is_table(path, columns):
        read(path, columns)


READS_FILE = _check_file


def assumed(path: str | None, **options: Any) -> list[str]:
    """What the file of a life doesn't say, and is assumed."""
    return [] if not path or is_table(path, options["columns"]) else read_once(Path(path), options["step"])[1]


def check(busy: float, loop: str, step: float, written: float, columns: str) -> None:
    """Refuse what can't be."""
    if loop not in LOOPS:
        raise ConfigError("workload.loop", loop, "is none of its values", LOOPS)
    if not step > 0:
        raise ConfigError("workload.step", step, "must be above 0")
    if not 0 <= written <= 1:
        raise ConfigError("workload.written", written, "is a share, from 0 to 1")


def make(asked: Asked, busy: float, loop: str, step: float, written: float, columns: str) -> Life:
    """The life of one VM."""
    path = asked.path or ""
    if is_table(path, columns):
        table, where = read(path, columns)
        rows = rows_of_vm(table, where, Path(path), asked.vm)
    else:
        rows = as_columns(read_once(Path(path), step)[0], written)
    return life_of(rows, busy, loop)


def life_of(rows: Columns, busy: float, loop: str) -> Life:
    """Life of a VM's rows; in ``end``, if there is one, stands when the last step ends."""
    times, step = np.unique(rows["time"], return_inverse=True)
    last = times[-1] - times[-2] if times.size > 1 else 1.0
    if "end" in rows and rows["end"][0] > times[-1]:
        last = rows["end"][0] - times[-1]
    extents = np.zeros(step.size, EXTENT)
    extents["step"] = step
    for name in ("first", "pages", "written", "visits"):
        extents[name] = rows[name]
    own = np.full(times.size, np.nan)
    own[step[::-1]] = rows["busy"][::-1]
    busy_of = np.where(np.isnan(own), busy, own)
    pages = int((extents["first"] + extents["pages"]).max())
    freed = np.zeros(0, FREED)
    files = NO_FILES
    if "file" in rows:
        chosen = rows["file"] > 0
        files = joined(extents["first"][chosen], extents["first"][chosen] + extents["pages"][chosen])
    closed = loop == "closed"
    edges = np.append(times, times[-1] + last) - times[0]
    return Life(pages, edges, busy_of, extents, freed, "closed" if closed else "open", files)


def joined(first: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.void]:
    """Runs of pages that some of these runs have, ascending, as rows of `FILES`."""
    order = np.argsort(first, kind="stable")
    first, reached = first[order], np.maximum.accumulate(end[order])
    opens = np.ones(first.size, np.bool_)
    opens[1:] = first[1:] > reached[:-1]
    runs = np.zeros(int(opens.sum()), FILES)
    runs["first"] = first[opens]
    runs["pages"] = reached[np.append(opens[1:], True)] - runs["first"] if runs.size else 0
    return runs
