"""Two sweeps' tables side by side: rows matched by what was varied, and which measured columns differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from memvirt.drawing.words import is_number, varied
from memvirt.errors import ConfigError, MemvirtError
from memvirt.result.table import ABOUT, read_results

TOLD_APART = ("replicate", "vm")
NOT_MEASURED = {"point_id", "error", *TOLD_APART} & {name for each in ABOUT for name in each.names}


class Difference(NamedTuple):
    """A column that isn't the same in both.

    Attributes
    ----------
    column : str
    rows : int
        In which it differs.
    largest : float
        The largest relative difference, of the larger number; infinite where one is missing or they are texts.
    where : str
        The row that has it.
    first, second : Any
        What it has there.
    """

    column: str
    rows: int
    largest: float
    where: str
    first: Any
    second: Any


class Comparison(NamedTuple):
    """What differs between two folders.

    Attributes
    ----------
    keys : list of str
        By which rows were matched.
    matched : int
        Rows that both have.
    only : tuple of list of str
        Rows that only the first, and only the second has.
    config : list of (str, Any, Any)
        Keys that aren't varied and whose values differ.
    lacking : tuple of list of str
        Columns that only the first, and only the second has.
    columns : list of Difference
        The largest first.
    """

    keys: list[str]
    matched: int
    only: tuple[list[str], list[str]]
    config: list[tuple[str, Any, Any]]
    lacking: tuple[list[str], list[str]]
    columns: list[Difference]

    @property
    def same(self) -> bool:
        """Whether both have the same rows with the same values."""
        return not (self.columns or self.only[0] or self.only[1])


def _provenance(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "provenance.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """Values by dotted keys; an option's ``name`` under its group's key too."""
    if not isinstance(config, dict):
        return {prefix: config}
    found: dict[str, Any] = {}
    for key, value in config.items():
        found |= _flat(value, f"{prefix}.{key}" if prefix else str(key))
    return found | ({prefix: config["name"]} if "name" in config and prefix else {})


def _fixed(told: dict[str, Any]) -> dict[str, Any]:
    """Values of keys that a sweep doesn't vary: of its config, and options that were chosen by name."""
    words = [str(word).partition("=") for word in told.get("overrides", [])]
    return _flat(told.get("config", {})) | {key.replace("/", ".").lstrip("+"): value for key, _, value in words}


def _keyed(frame: pd.DataFrame, keys: list[str], told: dict[str, Any], folder: Path) -> pd.DataFrame:
    """Rows by the keys, those that the folder doesn't vary taken from its config.

    Raises
    ------
    MemvirtError
        If it doesn't say what a key was.
    """
    fixed = _fixed(told)
    index = {}
    for key in keys:
        if key in frame:
            values = frame[key]
        elif key in TOLD_APART:
            values = pd.Series(0, frame.index)
        elif key in fixed:
            values = pd.Series([fixed[key]] * len(frame), frame.index, dtype=object)
        else:
            raise MemvirtError(f"{folder}: neither varies {key} nor says what it was, so no rows match; sweep {key} in both")
        index[key] = [_word(value) for value in values]
    found = frame.assign(**{f"key {key}": values for key, values in index.items()})
    nth = found.groupby([f"key {key}" for key in keys], dropna=False, sort=False).cumcount()
    found.index = pd.MultiIndex.from_arrays([*index.values(), nth], names=[*keys, "nth"])
    return found[list(frame.columns)]


def _word(value: Any) -> str:
    """A key's value, the same whether a table holds it as a number or as its text."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return "null"
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    try:
        return f"{float(value):g}"
    except (TypeError, ValueError):
        return str(value)


def _said(names: Sequence[str], values: Sequence[Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=False) if not (name == "nth" and value == 0))


def _apart(first: pd.Series[Any], second: pd.Series[Any], tolerance: float) -> np.ndarray[Any, Any]:
    """How far values are apart, relative to the larger: 0 within the tolerance, infinite where one lacks or texts differ."""
    numbers = is_number(first) and is_number(second)
    if not numbers:
        texts = [each.astype(object).where(each.notna(), "") for each in (first, second)]
        return np.where(texts[0].to_numpy() == texts[1].to_numpy(), 0.0, np.inf)
    a, b = first.to_numpy(float, na_value=np.nan), second.to_numpy(float, na_value=np.nan)
    size = np.maximum(np.abs(a), np.abs(b))
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.where(a == b, 0.0, np.abs(a - b) / size)
    apart = np.where(np.isnan(a) & np.isnan(b), 0.0, np.where(np.isnan(a) | np.isnan(b), np.inf, apart))
    return np.where(apart <= tolerance, 0.0, apart)


def compare(first: Path, second: Path, tolerance: float = 0.0, columns: Sequence[str] | None = None) -> Comparison:
    """Compare two sweeps' folders.

    Parameters
    ----------
    first, second : Path
    tolerance : float
        Relative difference of numbers that counts as none.
    columns : sequence of str, optional
        That are compared; all that both have if not given.

    Returns
    -------
    Comparison

    Raises
    ------
    MemvirtError
        If one has no table, there is no such column, or rows can't be matched.
    """
    tables, told = [read_results(each) for each in (first, second)], [_provenance(each) for each in (first, second)]
    keys = [*dict.fromkeys(key for table in tables for key in varied(table)), *TOLD_APART]
    a, b = (_keyed(table, keys, each, folder) for table, each, folder in zip(tables, told, (first, second), strict=True))
    measured = [[str(name) for name in table if name not in keys and name not in NOT_MEASURED] for table in tables]
    common = [name for name in measured[0] if name in measured[1]]
    for name in columns or ():
        if name not in common:
            raise ConfigError(
                "--columns", name, "is no measured column of both", [each for each in measured[0] if each in measured[1]]
            )
    both = a.index.intersection(b.index, sort=False)
    names = ["nth" if name is None else str(name) for name in a.index.names]
    found = []
    for name in columns or common:
        apart = _apart(a.loc[both, name], b.loc[both, name], tolerance)
        if apart.any():
            worst = int(np.argmax(apart))
            row = both[worst]
            values = [each.loc[both, name].iloc[worst] for each in (a, b)]
            found.append(Difference(name, int((apart > 0).sum()), float(apart[worst]), _said(names, row), *values))
    config = [_flat(each.get("config", {})) for each in told]
    differs = [
        key for key in dict.fromkeys([*config[0], *config[1]]) if key not in keys and config[0].get(key) != config[1].get(key)
    ]
    below = tuple(f"{key}." for key in keys)
    return Comparison(
        keys,
        len(both),
        tuple([_said(names, row) for row in one.index.difference(other.index, sort=False)] for one, other in ((a, b), (b, a))),  # type: ignore[arg-type]
        [(key, config[0].get(key), config[1].get(key)) for key in differs if not key.startswith(below)],
        tuple([name for name in one if name not in other] for one, other in (measured, measured[::-1])),  # type: ignore[arg-type]
        sorted(found, key=lambda each: (-each.largest, each.column)),
    )
