"""A VM's memory over time, from a table, CSV or Parquet: what `sar`, cgroups, esxtop or a cloud's five-minute series say.

Columns: ``time`` (s) and, in `workload.unit`, ``working_set``, what is in use; ``touched``, what its programs hold. Optional:
``vm`` (VM v takes the v-th of them); ``written``, what of the working set is written (else `workload.written` of it); ``cache``,
files in its page cache; ``free``, which with the others is all of its memory; ``busy``, vCPUs (else `workload.busy`). A row lasts
until the next one; the last, as long as the one before.

The table may be what others write, with `workload.columns` to say which columns are meant: CSV, `sadf -d`, `sar -r`, `virsh
dommemstat` again and again, Prometheus' answer to a range query; times are seconds, dates or times of day.

What a row says is made so: pages below ``touched`` are held, those above what the row before held are allocated, those above what
this one holds are freed; the first ``working_set`` of them are used as `working_sets` uses its pages, so that all but a percent
of them is touched in the row. Cache grows and shrinks behind them, is read when it comes and then left: files' pages, which a
guest that needs memory drops.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from memvirt.errors import ConfigError, TraceError
from memvirt.workload.life import FILES, FREED, LOOPS, Asked, Life
from memvirt.workload.life._shape import bands, extents, rate_for, touched, weights
from memvirt.workload.tables import Table, by_path, read_table, rows_of_vm

UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
OPTIONS: dict[str, Any] = {"unit": "MiB", "step": 10.0, "alpha": 0.8, "written": 0.3, "busy": 0.2, "loop": "open", "columns": ""}
DETAIL = {"name": "zipf"}
OPTIONAL = {"vm": 0.0, "written": np.nan, "cache": 0.0, "free": 0.0, "busy": np.nan}
ALL_BUT = 0.99  #: of a working set, which is touched in a row


def _parse(path: Path, names: str) -> Table:
    """Read and check a table."""
    columns, where = read_table(path, ("time", "working_set", "touched"), OPTIONAL, names)
    for row, place in enumerate(where):
        used, held, written = (columns[name][row] for name in ("working_set", "touched", "written"))
        if used > held:
            raise TraceError(str(path), place, f"working_set is {used:g}, more than touched, {held:g}")
        if written > used:
            raise TraceError(str(path), place, f"written is {written:g}, more than working_set, {used:g}")
    return columns, where


read = READS_FILE = by_path(_parse)


def check(**options: Any) -> None:
    """Refuse what can't be.

    Raises
    ------
    ConfigError
    """
    if options["loop"] not in LOOPS:
        raise ConfigError("workload.loop", options["loop"], "is none of its values", LOOPS)
    if options["unit"] not in UNITS:
        raise ConfigError("workload.unit", options["unit"], "is none of its values", UNITS)
    if not options["step"] > 0:
        raise ConfigError("workload.step", options["step"], "must be above 0")
    if not 0 <= options["written"] <= 1:
        raise ConfigError("workload.written", options["written"], "is a share, from 0 to 1")


def make(asked: Asked, **options: Any) -> Life:
    """The life of one VM."""
    path = asked.path or ""
    columns, where = read(path, options["columns"])
    rows = rows_of_vm(columns, where, Path(path), asked.vm)
    edges = rows["time"] - rows["time"][0]
    edges = np.append(edges, edges[-1] + (edges[-1] - edges[-2] if edges.size > 1 else options["step"]))
    pages = {name: np.rint(rows[name] * (UNITS[options["unit"]] / 4096)).astype(np.int64) for name in ("touched", "cache", "free")}
    used, held, cache = np.rint(rows["working_set"] * (UNITS[options["unit"]] / 4096)).astype(int), pages["touched"], pages["cache"]
    most = int(held.max())
    everything = max(int((held + cache + pages["free"]).max()), most + int(cache.max()), 1)
    dirty = np.where(np.isnan(rows["written"]), options["written"], rows["written"] / np.maximum(rows["working_set"], 1e-9))
    times, parts, freed = [0.0], [], []
    for row, length in enumerate(np.diff(edges)):
        if not length:
            raise TraceError(path, where[row], f"time is {rows['time'][row]:g} twice for one VM")
        count, begun = max(1, round(length / options["step"])), len(times) - 1
        steps = begun + np.arange(count)
        times.extend(edges[row] + length * np.arange(1, count + 1) / count)
        before = (int(held[row - 1]), int(cache[row - 1])) if row else (0, 0)
        for base, now, then, write in ((0, int(held[row]), before[0], 1.0), (most, int(cache[row]), before[1], 0.0)):
            if now < then:
                freed.append((begun, base + now, then - now))
            elif now > then:  # evenly over the row; at once if it is the first
                marks = np.rint(np.linspace(then, now, (count if row else 1) + 1)).astype(np.int64)
                size = np.diff(marks)
                parts.append(extents(steps[: size.size], base + marks[:-1], size, size * write, size))
        if used[row]:
            first, size = bands(int(used[row]))
            weight = weights(first, size, options["alpha"])
            rate = rate_for(ALL_BUT * used[row], weight, size, length) * weight
            parts.append(extents(steps[:, None], first, size, size * dirty[row], touched(rate, size, length / count)))
    every = np.concatenate(parts) if parts else extents(0, 0, 0, 0, 0)
    busy_rows = np.where(np.isnan(rows["busy"]), options["busy"] * asked.vcpus, rows["busy"])
    busy = np.repeat(busy_rows, [max(1, round(length / options["step"])) for length in np.diff(edges)])
    every = every[np.argsort(every["step"], kind="stable")]
    files = np.array([(most, int(cache.max()))] if cache.any() else [], FILES)
    return Life(everything, np.array(times), busy, every, np.array(freed, FREED), options["loop"], files)
