"""memvirt from Python: points, single simulations, sweeps and pictures.

Overrides are those of the command line, word by word (``"mmu=nested"``, ``"overcommit.ratio=1,1.5"``, ``"--config-dir=mine"``), and
what is wrong with them is said in the same words, as a `MemvirtError`. Nothing that holds for the whole process is changed:
not Hydra's state, the arguments, the working folder, the environment or matplotlib's settings; so each may be called again.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import pyarrow as pa

from memvirt import figures, memory
from memvirt.errors import ConfigError, MemvirtError
from memvirt.memory import Step
from memvirt.pipeline.compute import compute
from memvirt.pipeline.compute import simulate as simulate_rows
from memvirt.pipeline.layout import graph
from memvirt.pipeline.point import Point
from memvirt.result.rows import WALK_PARTS
from memvirt.result.table import epoch_columns, read_results, result_columns
from memvirt.sweep.call import read_call
from memvirt.sweep.plan.groups import NOT_OF_A_POINT
from memvirt.sweep.plan.words import DEFAULT, plainly
from memvirt.sweep.report import Voice
from memvirt.sweep.run import sweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOT_MEASURED = ("status", "error")  #: columns of a sweep's table that a simulation that went well has no use for


class Simulation(NamedTuple):
    """What came of one point.

    Attributes
    ----------
    point : Point
    vms : DataFrame
        One row a VM, with the columns of a sweep's ``results.parquet`` that are measured.
    epochs : DataFrame
        One row a VM and epoch.
    walks : DataFrame
        What page walks read, one row for each ``vm``, ``table`` (``guest``, ``host``, ``data``, ``outer``) and ``level`` (5 is
        the highest) that was read at all: ``references`` and the ``cycles`` that they took.
    """

    point: Point
    vms: pd.DataFrame
    epochs: pd.DataFrame
    walks: pd.DataFrame


class Sweep:
    """A sweep's folder; its tables are read when they are first asked for.

    Attributes
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        return f"Sweep({str(self.folder)!r})"

    @cached_property
    def results(self) -> pd.DataFrame:
        """One row a point and VM."""
        return read_results(self.folder)

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """One row a point, VM and epoch."""
        return read_results(self.folder / "epochs.parquet")

    @cached_property
    def plan(self) -> pd.DataFrame:
        """One row a point, of the plan that was asked for, in its order."""
        whole = self.folder / "plan.parquet"
        return read_results(whole if whole.exists() else self.folder / "plan-1.parquet")

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Command, code, versions and configs, from which the same rows can be made again."""
        path = self.folder / "provenance.json"
        try:
            found: dict[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError) as wrong:
            raise MemvirtError(f"{path}: can't be read: {wrong}") from None
        return found


def make_point(*overrides: str) -> Point:
    """Make one design, checked.

    Parameters
    ----------
    *overrides : str
        ``KEY=VALUE``, one value each; keys that aren't given have their defaults.

    Returns
    -------
    Point
        Its sections are attributes: ``point.mmu.name``, ``point.overcommit.ratio``.

    Raises
    ------
    ConfigError
        For a key or value that can't be, with the nearest that can; and for a key with several values, or of a sweep.
    TraceError
        For a trace that can't be read.
    """
    with plainly(overrides):
        call = read_call(overrides)
        for axis in call.axes:
            several = axis.interval or ",".join(axis.texts)
            raise ConfigError(axis.key, several, "a point has one value of each key; run_sweep takes more")
        for word in call.fixed:
            key, _, value = word.partition("=")
            if key.partition(".")[0] in set(NOT_OF_A_POINT) - {"experiment", "machine", "ksm", "hydra"}:
                raise ConfigError(key, value, "is a sweep's key, and says nothing of a point")
        return call.plan().point(0)[0]


def _point(what: tuple[Point | str, ...]) -> Point:
    if len(what) == 1 and isinstance(what[0], Point):
        return what[0]
    return make_point(*(str(word) for word in what))


def simulate(*what: Point | str) -> Simulation:
    """Simulate one design from end to end, in this process.

    Parameters
    ----------
    *what : Point, or str
        A point, or the overrides that make one.

    Returns
    -------
    Simulation

    Raises
    ------
    ConfigError, TraceError
        As `make_point`.
    CapacityError
        If the machine runs out of memory.
    """
    point = _point(what)
    vms, epochs = simulate_rows(point)
    measured = pa.schema([field for field in result_columns() if field.name not in NOT_MEASURED])
    table = pa.Table.from_pylist(vms, measured).to_pandas()
    return Simulation(point, table, pa.Table.from_pylist(epochs, pa.schema(epoch_columns())).to_pandas(), _walks(table))


def _walks(vms: pd.DataFrame) -> pd.DataFrame:
    pieces = []
    for part in WALK_PARTS:
        name, _, level = part.partition("_l")
        measured = {"references": vms[f"walk_refs_{part}"], "cycles": vms[f"walk_cycles_{part}"]}
        pieces.append(pd.DataFrame({"vm": vms["vm"], "table": name, "level": int(level), **measured}))
    walks = pd.concat(pieces).sort_values("vm", kind="stable")
    return walks[walks["references"] > 0].reset_index(drop=True)


@contextlib.contextmanager
def _own_drawing_settings() -> Iterator[None]:
    """Leave matplotlib's settings as the caller had them; not loaded for that."""
    if "matplotlib" in sys.modules:
        from matplotlib import rc_context

        with rc_context():
            yield
        return
    try:
        yield
    finally:
        if "matplotlib" in sys.modules:
            from matplotlib import rc_file_defaults

            rc_file_defaults()


def run_sweep(*overrides: str, name: str | None = None, executor: str | None = None, quiet: bool = True) -> Sweep:
    """Simulate a grid of designs, each distinct stage once, into a folder.

    Parameters
    ----------
    *overrides : str
        ``KEY=VALUE``; several values with commas between are an axis. Without any, the default grid.
    name : str, optional
        Of the folder below ``output``; made of the points if not given.
    executor : {'ray', 'serial'}, optional
        Ray's workers on each core, or this process alone.
    quiet : bool
        Whether nothing is printed, neither on the way nor at the end.

    Returns
    -------
    Sweep

    Raises
    ------
    MemvirtError
        For a bad argument or config, before anything is run. Points that fail are rows whose ``status`` isn't ``ok``.
    Unfinished
        If a disk is full or more points failed than ``max_failures``; what is done is kept for ``resume=true``.
    FailedRows
        If rows failed and ``fail_on_error=true`` was given.
    KeyboardInterrupt
        If it was stopped; what is done is kept too.
    """
    given = {"name": name, "executor": executor}
    words = [*overrides, *(f"{key}={value}" for key, value in given.items() if value is not None)]
    for word in overrides:
        key, _, value = word.partition("=")
        if given.get(key) is not None:
            raise ConfigError(key, value, "is given twice")
    with plainly(words), _own_drawing_settings():
        return Sweep(sweep(read_call(words, [DEFAULT]), Voice(not quiet)))


def read(folder: str | Path) -> Sweep:
    """Read what a sweep wrote.

    Parameters
    ----------
    folder : str or Path
        Such as ``outputs/NAME``.

    Raises
    ------
    MemvirtError
        If it holds no tables.
    """
    found = Path(folder)
    if not (found / "results.parquet").is_file():
        raise MemvirtError(f"{found}: is no sweep's folder: there is no results.parquet in it")
    return Sweep(found)


def draw(frame: pd.DataFrame, *, x: str, y: str, hue: str | None = None, col: str | None = None, kind: str | None = None) -> Figure:
    """Draw columns of a table.

    Parameters
    ----------
    frame : DataFrame
        Such as a sweep's ``results``; rows that failed are left out.
    x, y : str
        Columns.
    hue : str, optional
        Column that colours tell apart; of a heat map, the one that they show.
    col : str, optional
        Column with a panel for each of its values.
    kind : {'line', 'bar', 'heat'}, optional
        By default a line over numbers and bars over names.

    Returns
    -------
    matplotlib.figure.Figure
        A notebook shows it; ``figure.savefig(PATH)`` writes it.

    Raises
    ------
    ConfigError
        If a column isn't there, or can't be drawn so.
    """
    from matplotlib import rc_context

    with rc_context():
        return figures.draw(frame, kind, x, y, hue, col)  # type: ignore[no-any-return]


def steps(*what: Point | str, accesses: int = 4096) -> Iterator[Step]:
    """Watch the memory room at work: what each VM and the host have, a few accesses at a time.

    A look ends a vCPU's turn, so where several VMs run, their accesses needn't come in quite the order that `simulate` has.

    Parameters
    ----------
    *what : Point, or str
        A point, or the overrides that make one.
    accesses : int
        How many a vCPU makes from one look at it to the next.

    Yields
    ------
    Step
        The last one when all is done.

    Raises
    ------
    ConfigError, TraceError, CapacityError
        As `simulate`.
    """
    if accesses < 1:
        raise ConfigError("accesses", accesses, "must be 1 or more")
    stage = next(stage for stage in graph(_point(what)) if stage.room == "memory")
    traces = [compute("workload", need.config.value, [])[0]["trace"] for need in stage.inputs]
    return memory.steps(memory.MemoryConfig.model_validate(stage.config.value), traces, accesses)
