"""What is done with a sweep's points beyond computing them: one file a kind of study, chosen by `study=NAME`.

Each has a function ``make(call)``, whose outcome has the ``plan`` that is known before anything is computed, and
``run(study)``, which computes it and whatever follows from it, through `Study.evaluate`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from memvirt.counters import every
from memvirt.errors import ConfigError, MemvirtError
from memvirt.result import monitor
from memvirt.result.join import OF_DETAIL
from memvirt.result.rows import counters
from memvirt.result.table import harmless, result_columns, write_whole
from memvirt.sweep.call import Call
from memvirt.sweep.plan.plan import Plan
from memvirt.sweep.plan.todo import Todo
from memvirt.sweep.store.store import Store
from memvirt.sweep.work import Work

OVER_VMS = ("mean", "max", "min", "sum", "host")


class Study:
    """What a kind of study works with.

    Attributes
    ----------
    call : Call
    plan : Plan
        The first.
    said, written : list of str
        Lines to print at the end, and files written besides the tables.
    draws_itself : bool
        Whether the sweep's own figures are left out.
    """

    def __init__(self, call: Call, work: Work, store: Store, todo: Todo) -> None:
        self.call, self.work, self.store, self.plan = call, work, store, todo.plan
        self.first = todo
        self.ids: list[list[str]] = []
        self.said: list[str] = []
        self.written: list[str] = []
        self.draws_itself = False

    def evaluate(self, plan: Plan, title: str = "points") -> list[str]:
        """Compute what is missing of a plan; returns the id of each of its points, in order."""
        todo = self.first if plan is self.plan else Todo(plan)
        todo.skip(self.store.points)
        kept = len(todo.wanted.ids) - len(todo.missing)
        said = f"{kept} of them from an earlier run, " if kept else ""
        if len(todo.wanted.ids) != len(plan):
            said = f"{len(todo.wanted.ids)} distinct, " + said
        for text, count in plan.dropped.items():
            self.work.voice.say(f"constraint {text}: {count:,} points dropped")
        self.work.voice.say(f"{len(plan)} {title}, {said}{plan.composed} configs composed; writing to {self.store.folder}")
        self.ids.append(todo.ids)
        self.work.compute(self.store, todo, kept, title)
        return todo.ids

    def outcomes(self, ids: list[str], columns: list[str], over_vms: str) -> pd.DataFrame:
        """Columns of points, one row a point.

        Parameters
        ----------
        ids : list of str
        columns : list of str
        over_vms : {'mean', 'max', 'min', 'sum', 'host'}

        Returns
        -------
        DataFrame
            NaN for points that failed.
        """
        return one_of_vms(self.rows(ids, columns), columns, over_vms)

    def rows(self, ids: list[str], columns: list[str]) -> pd.DataFrame:
        """Columns of points, one row a VM.

        Returns
        -------
        DataFrame
            ``number``, the point's place in ``ids``, ``vm``, ``status``, ``error`` and the columns.
        """
        return self._found(self.store.results(), ids, ["vm"], ["status", "error", *columns])

    def epochs(self, ids: list[str], columns: list[str]) -> pd.DataFrame:
        """Columns of points' epochs, one row a VM and epoch: ``number``, ``vm``, ``epoch`` and the columns."""
        return self._found(self.store.epochs(), ids, ["vm", "epoch"], columns)

    def _found(self, tables: Iterable[pa.Table], ids: list[str], each: list[str], columns: list[str]) -> pd.DataFrame:
        keys = pd.DataFrame({"number": np.arange(len(ids)), "key": [self.store.points[point] for point in ids]})
        wanted = pa.array(sorted(set(keys["key"])))
        parts = []
        for table in tables:
            here = table.select(["key", *each, *columns])
            parts.append(here.filter(pc.is_in(here.column("key"), wanted)))
        rows = pa.concat_tables(parts).to_pandas().drop_duplicates(["key", *each], keep="last")
        found: pd.DataFrame = keys.merge(rows, on="key").sort_values(["number", *each], ignore_index=True)
        return found.drop(columns="key")

    def write(self, frame: pd.DataFrame, name: str) -> None:
        """Write a table of the study's own."""
        write_whole(
            self.store.folder / name,
            lambda part: frame.map(lambda cell: harmless(cell) if isinstance(cell, str) else cell).to_csv(part, index=False),
        )
        self.written.append(name)

    def save(self, figure: Any, name: str) -> None:
        """Save a figure of the study's own, unless figures are left out."""
        if not self.call.settings.figures:
            return
        from memvirt.figures import save

        for suffix in (".png", ".pdf"):
            save(figure, self.store.folder / "figures" / f"{name}{suffix}", close=suffix == ".pdf")
            self.written.append(f"figures/{name}{suffix}")


def one_of_vms(rows: pd.DataFrame, columns: list[str], over_vms: str) -> pd.DataFrame:
    """Make one row a point of those of its VMs.

    Parameters
    ----------
    rows : DataFrame
        As `Study.rows` gives it.
    columns : list of str
    over_vms : {'mean', 'max', 'min', 'sum', 'host'}
        ``host``: what a counter says of itself (`memvirt.counters.Counter.vms`); the mean of what is no counter.

    Returns
    -------
    DataFrame
        In order of ``number``; NaN for points that failed.
    """
    said = {name: "first" if each.vms == "same" else each.vms for each in counters() for name in each.names}
    how = {column: said.get(column, "mean") if over_vms == "host" else over_vms for column in columns}
    grouped = rows.groupby("number")
    found: pd.DataFrame = grouped[columns].agg(how).astype(float)
    failed = rows.assign(failed=rows["status"] != "ok").groupby("number")["failed"].any()
    found.loc[failed.to_numpy()] = np.nan  # a sum of nothing would be 0
    return found.reset_index(drop=True)


def check_columns(options: Mapping[str, Any], key: str, columns: Sequence[str]) -> None:
    """Refuse columns that hold no numbers, and unknown ways to make one number of several VMs'.

    Raises
    ------
    ConfigError
    """
    numbers = [field.name for field in result_columns() if not pa.types.is_string(field.type)]
    for column in columns:
        if column not in numbers:
            raise ConfigError(key, column, "is not a column of numbers", numbers)
    if options["over_vms"] not in OVER_VMS:
        raise ConfigError("study.over_vms", options["over_vms"], "is none of its values", OVER_VMS)


def needs_no_walks(columns: Sequence[str]) -> bool:
    """Whether columns are of time and of what happens to memory alone: all are the memory room's, or made of what it counts."""
    of_memory = {name for counter in every("memory") for name in counter.names} | {each.name for each in monitor.COLUMNS}
    return set(columns) <= of_memory - {*OF_DETAIL, "remote_accesses"}


def check_plan(plan: Mapping[str, Any], why: str) -> None:
    """Refuse a plan or constraints beside a study that makes its own designs.

    Raises
    ------
    ConfigError
    """
    if plan["name"] != "grid" or plan.get("constraints"):
        raise ConfigError("plan", plan["name"], why)


class Incomplete(MemvirtError):
    """A study can't be concluded from what there is; the tables are written all the same."""
