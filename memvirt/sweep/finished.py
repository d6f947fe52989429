"""A finished sweep's folder: done already, or not to be written over unless that is asked for."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from memvirt.digest import text_digest
from memvirt.errors import ConfigError, FailedRows
from memvirt.sweep.call import Call
from memvirt.sweep.plan.todo import Todo
from memvirt.sweep.store.provenance import all_code


def identity(call: Call, todo: Todo) -> str:
    """Digest of all that the tables hang on besides the code: points in their order, columns, traces, what is done with them."""
    traces = sorted(todo.plan.sections.traces.items())
    about = json.dumps([[axis.key for axis in todo.plan.axes], call.config["study"], traces], sort_keys=True, default=str)
    return text_digest(about, *todo.ids)


def told_by(folder: Path) -> dict[str, Any] | None:
    """Provenance of the sweep that a folder holds whole; None if it holds none."""
    try:
        told = json.loads((folder / "provenance.json").read_text())
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) and (folder / "results.parquet").is_file() else None


def _lost(folder: Path, todo: Todo) -> int:
    """How many points of the plan in a folder aren't in this one."""
    for name in ("plan.parquet", "plan-1.parquet"):
        if (folder / name).is_file():
            return len(set(pq.read_table(folder / name, columns=["point_id"]).column(0).to_pylist()) - set(todo.ids))
    return 0


def is_done(call: Call, todo: Todo, folder: Path) -> bool:
    """Whether the same plan and code have filled a folder.

    Raises
    ------
    ConfigError
        If another sweep's tables are there, and would be lost.
    """
    told, settings = told_by(folder), call.settings
    if told is None or settings.overwrite:
        return False
    same = told.get("plan") == identity(call, todo)
    if settings.resume:
        if not same and (lost := _lost(folder, todo)):
            why = f"{folder} holds another sweep, and {lost:,} of its points aren't in this one; overwrite=true replaces it"
            raise ConfigError("name", folder.name, why)
        return False
    if same and told.get("code") == all_code():
        return True
    what = "the same points computed by other code" if same else "another sweep"
    raise ConfigError("name", folder.name, f"{folder} holds {what}; choose another name, or overwrite=true to replace it")


def report(call: Call, todo: Todo, folder: Path) -> str:
    """Say what a folder holds whose sweep is done.

    Raises
    ------
    FailedRows
        If rows of it failed and ``fail_on_error`` is set.
    """
    statuses = Counter(pq.read_table(folder / "results.parquet", columns=["status"]).column(0).to_pylist())
    rows = sum(statuses.values())
    failed = rows - statuses["ok"]
    if failed and call.settings.fail_on_error:
        raise FailedRows(f"fail_on_error=true: {failed} rows failed; the tables in {folder} are complete")
    what = (
        f"already done: {folder} holds {len(todo.wanted.ids):,} points, {rows:,} rows, {failed} failed, of the same plan and code"
    )
    return f"{what}; overwrite=true computes them again"
