"""The points of a table, CSV or Parquet: a column a key, a row a point."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from memvirt.errors import ConfigError
from memvirt.sweep.plan.axes import Axis, parse_value
from memvirt.sweep.plan.choices import Design, Rows
from memvirt.sweep.plan.groups import NOT_SWEPT, find_groups


def _read(path: str | None) -> pd.DataFrame:
    if not path:
        raise ConfigError("plan.path", path, "plan=list needs a table of points: plan.path=FILE")
    place = Path(str(path))
    if not place.is_file():
        raise ConfigError("plan.path", path, "there is no such file")
    try:
        if place.suffix == ".parquet":
            return pd.read_parquet(place)
        return pd.read_csv(place, dtype=str, keep_default_na=False)
    except (OSError, ValueError, pa.ArrowException) as wrong:
        raise ConfigError("plan.path", path, f"is not a table: {' '.join(str(wrong).split()):.200}") from None


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "null"
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    return str(value).strip() or "null"


def design(axes: list[Axis], plan: dict[str, Any]) -> Design:
    """Read the table.

    Raises
    ------
    ConfigError
        If there is none, it is empty, or the command line sweeps something too.
    """
    for axis in axes:
        raise ConfigError(axis.key, ",".join(axis.texts), "plan=list takes its points from the table: give it one value here")
    table = _read(plan.get("path"))
    if table.empty or not len(table.columns):
        raise ConfigError("plan.path", plan["path"], "holds no points")
    groups = find_groups([])
    found, places = [], []
    for column in table.columns:
        key = str(column).strip().replace("/", ".")
        if not re.fullmatch(r"\w+(\.\w+)*", key) or key.partition(".")[0] in NOT_SWEPT:
            raise ConfigError(key, "", f"is no key of a point, but heads a column of {plan['path']}")
        texts, place = np.unique([_text(value) for value in table[column]], return_inverse=True)
        listed = tuple(str(text) for text in texts)
        is_group = key.replace(".", "/") in groups
        if is_group:
            for text in listed:
                if text not in groups[key.replace(".", "/")]:
                    raise ConfigError(key, text, "there is no such option", groups[key.replace(".", "/")])
        values = listed if is_group else tuple(_value(key, text) for text in listed)
        found.append(Axis(key, values, listed, is_group))
        places.append(place)
    return Design(found, Rows(np.stack(places, axis=1).astype(np.int32)))


def _value(key: str, text: str) -> Any:
    from hydra.errors import HydraException

    try:
        return parse_value(text)
    except HydraException:
        raise ConfigError(key, text, "is not a value as the command line writes it") from None
