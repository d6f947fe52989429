"""Rows of a result table that somebody asked for."""

from __future__ import annotations

import pandas as pd

from memvirt.constraint import Constraint
from memvirt.errors import ConfigError, MemvirtError


def where(frame: pd.DataFrame, condition: str | None, option: str = "--where") -> pd.DataFrame:
    """Rows for which a condition over columns holds; all of them without one.

    Parameters
    ----------
    frame : DataFrame
    condition : str, optional
        As a plan's constraints are written: ``mmu == 'nested' and overcommit.ratio < 2``.
    option : str
        Whose value it is.

    Raises
    ------
    ConfigError
        If it isn't a condition, or names a column that isn't there.
    MemvirtError
        If no row is left.
    """
    if condition is None:
        return frame
    asked = Constraint(condition, option)
    for key in asked.keys:
        if key not in frame:
            raise ConfigError(option, key, "the table has no such column", frame.columns)
    rows = zip(*(frame[key].tolist() for key in asked.keys), strict=True) if asked.keys else ((),) * len(frame)
    kept = frame[[asked.holds(dict(zip(asked.keys, row, strict=True)).__getitem__) for row in rows]]
    if kept.empty:
        raise MemvirtError(f"{option} {condition}: holds for no row of the table")
    return kept


def of_point(frame: pd.DataFrame, point: str | None, option: str = "--point") -> pd.DataFrame:
    """Rows of the point whose ``point_id`` begins so; all rows without one.

    Raises
    ------
    ConfigError
        If there is no such point, or more than one.
    """
    if point is None:
        return frame
    ids = [str(each) for each in pd.unique(frame["point_id"])] if "point_id" in frame else []
    found = [each for each in ids if each.startswith(point)]
    if len(found) != 1:
        why = f"{len(found)} points begin so" if found else "is the beginning of no point_id"
        raise ConfigError(option, point, why, found or ids)
    rows: pd.DataFrame = frame[frame["point_id"] == found[0]]
    return rows


def most_remote(epochs: pd.DataFrame) -> str:
    """The point of whose accesses the most were to another node; the first of equal ones."""
    return str(epochs.groupby("point_id", sort=False)["remote_accesses"].sum().idxmax())


def waited_longest(epochs: pd.DataFrame) -> str:
    """The point whose VMs waited for memory the longest; the first of equal ones."""
    waited = epochs.groupby("point_id", sort=False)["stall_ns"].sum()
    return str(waited.idxmax())
