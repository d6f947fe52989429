"""Files of other tools as tables of page lives: what they say is visited, and what had to be assumed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from memvirt.trace.info import bytes_text
from memvirt.trace.pages import check_name, write
from memvirt.workload.life.pageset import OPTIONS
from memvirt.workload.sniff import LIFE, choose
from memvirt.workload.stream import STDIN, open_stream
from memvirt.workload.visited import as_columns, read_once

STEP, WRITTEN = OPTIONS["step"], OPTIONS["written"]


def holds_life(path: Path) -> bool:
    """Whether a file's format holds a page life, and no accesses."""
    if path == STDIN or not path.is_file():
        return False
    with open_stream(path) as stream:
        module = choose(stream, holds=("accesses", LIFE))
    return getattr(module, "HOLDS", "") == LIFE


def import_life(path: Path, output: Path, step: float = STEP, share: float = WRITTEN) -> str:
    """Write what a file says is visited as the table that ``workload=pageset`` reads; returns a description.

    Parameters
    ----------
    path : Path
    output : Path
        ``NAME.csv`` or ``NAME.parquet``.
    step : float
        Seconds, of what isn't in steps already.
    share : float
        Of the pages of a run that are taken as written where nothing says.

    Raises
    ------
    TraceError, MemvirtError
        As `memvirt.workload.visited.read_visited`; or if the place can't be written.
    """
    check_name(output)
    visited, notes = read_once(path, step)
    columns = as_columns(visited, share)
    numbers = [columns[name].astype(np.int64).tolist() for name in ("vm", "first", "pages", "written", "visits")]
    time = np.round(columns["time"] - columns["time"].min(), 9).tolist()
    said = {"source": path.name, "notes": "; ".join(notes)}
    if np.isnan(visited.written).any():
        said["written"] = f"{share:g} of each run, assumed"
    write(list(zip(time, *numbers, strict=True)), output, said)
    return describe_life(path, step)


def describe_life(path: Path, step: float = STEP) -> str:
    """Say in lines of text what is visited, step by step.

    Raises
    ------
    TraceError
        As `memvirt.workload.visited.read_visited`.
    """
    visited, notes = read_once(path, step)
    columns = as_columns(visited, 0.0)
    times, which = np.unique(visited.time, return_inverse=True)
    each = np.bincount(which, visited.visits)
    marks = np.zeros(int((columns["first"] + columns["pages"]).max()) + 1, np.int64)
    np.add.at(marks, columns["first"].astype(np.int64), 1)
    np.add.at(marks, (columns["first"] + columns["pages"]).astype(np.int64), -1)
    footprint = int(np.count_nonzero(np.cumsum(marks)))
    said = (
        "not said"
        if np.isnan(visited.written).all()
        else f"{np.nansum(visited.written) / visited.pages.sum():.2%} of visited pages"
    )
    lines = {
        "steps": f"{times.size:,} in {visited.end - times[0]:,.4g} s",
        "visits": f"{int(visited.visits.sum()):,}",
        "footprint": f"{footprint:,} pages of 4K ({bytes_text(footprint)})",
        "a step": f"{bytes_text(each.mean())} in the mean, {bytes_text(each.max())} at the most",
        "writes": said,
        "spaces": f"{int(visited.space.max()) + 1:,}",
        "source": path.name,
        "notes": "; ".join(notes),
    }
    return "\n".join(f"{name:<14}{text}" for name, text in lines.items())
