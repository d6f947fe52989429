"""Pages that were visited, from a table, CSV or Parquet, as DAMON, idle-page tracking or PEBS can make it.

Columns: ``time`` (s), when a step begins; ``first`` and ``pages``, a run of page numbers of 4 KiB; ``written``, how many of these
are written, from the first on; ``visits`` in the step, spread evenly over the run. Optional: ``vm`` (VM v takes the v-th of them)
and ``busy``, the vCPUs that are busy in the step (else `workload.busy`). A step lasts until the next one of its VM; the last, as
long as the one before.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from memvirt.errors import ConfigError, TraceError
from memvirt.workload.life import EXTENT, FREED, LOOPS, Asked, Life
from memvirt.workload.tables import Table, by_path, read_table, rows_of_vm

OPTIONS = {"busy": 1.0, "loop": "open"}
DETAIL = {"name": "zipf"}
NEEDED = ("time", "first", "pages", "written", "visits")
MOST_PAGES = (1 << 31) - 1


def _parse(path: Path) -> Table:
    """Read and check a table."""
    columns, where = read_table(path, NEEDED, {"vm": 0.0, "busy": np.nan})
    for row, place in enumerate(where):
        first, pages, written, visits = (columns[name][row] for name in NEEDED[1:])
        for name in NEEDED[1:]:
            if columns[name][row] % 1:
                raise TraceError(str(path), place, f"{name} is {columns[name][row]:g}, not a whole number")
        if not pages:
            raise TraceError(str(path), place, "pages is 0")
        if written > pages:
            raise TraceError(str(path), place, f"written is {written:.0f}, more than the run's {pages:.0f} pages")
        if first + pages > MOST_PAGES:
            raise TraceError(str(path), place, f"ends at page {first + pages:.0f}, beyond 31-bit numbers")
        if visits > 1000 * pages:
            raise TraceError(str(path), place, f"visits is {visits:.0f}, more than 1,000 a page: what does a visit stand for?")
    return columns, where


read = READS_FILE = by_path(_parse)


def check(busy: float, loop: str) -> None:
    """Refuse what can't be."""
    if loop not in LOOPS:
        raise ConfigError("workload.loop", loop, "is none of its values", LOOPS)


def make(asked: Asked, busy: float, loop: str) -> Life:
    """The life of one VM."""
    path = asked.path or ""
    columns, where = read(path)
    rows = rows_of_vm(columns, where, Path(path), asked.vm)
    times, step = np.unique(rows["time"], return_inverse=True)
    last = times[-1] - times[-2] if times.size > 1 else 1.0
    extents = np.zeros(step.size, EXTENT)
    extents["step"] = step
    for name in ("first", "pages", "written", "visits"):
        extents[name] = rows[name]
    own = np.full(times.size, np.nan)
    own[step[::-1]] = rows["busy"][::-1]
    busy_of = np.where(np.isnan(own), busy, own)
    pages = int((extents["first"] + extents["pages"]).max())
    freed = np.zeros(0, FREED)
    return Life(
        pages, np.append(times, times[-1] + last) - times[0], busy_of, extents, freed, "closed" if loop == "closed" else "open"
    )
