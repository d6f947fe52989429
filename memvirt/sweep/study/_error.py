"""The error of sampling: what several samples of the same VMs (`vms.scale_seed`) answer, put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

SEED = "vms.scale_seed"
OF_ERROR = ("samples", "ratio", "crossing", "sample_error", "standard_error", "least", "most")  #: columns beside the keys


def crossing(tried: pd.DataFrame, safe: float, limit: float) -> float:
    """Where a sample's worst VM is slowed by ``limit`` per cent: on the line from the answer to the next ratio that was tried.

    An answer is known to the search's tolerance alone, which would hide how near samples lie to each other.

    Parameters
    ----------
    tried : DataFrame
        ``ratio`` and ``slowdown`` of one search.
    safe : float
        Its answer; NaN if it has none.
    """
    rows = tried.sort_values("ratio")
    above = rows[rows["ratio"] > safe].head(1)
    at, next_at = (float(each["slowdown"].iloc[0]) if len(each) else np.nan for each in (rows[rows["ratio"] == safe], above))
    if not next_at > limit:  # nothing failed, or nobody knows by how much
        return safe
    return safe + (float(above["ratio"].iloc[0]) - safe) * (limit - at) / (next_at - at)


def errors(found: pd.DataFrame, tried: pd.DataFrame, keys: list[str], limit: float) -> pd.DataFrame:
    """Put the samples of each combination of the other keys together.

    Parameters
    ----------
    found : DataFrame
        The keys and ``ratio``, the answer of each sample; NaN where it is never safe.
    tried : DataFrame
        The keys, ``ratio`` and ``slowdown`` (per cent) of all that was tried.
    keys : list of str
    limit : float
        Per cent.

    Returns
    -------
    DataFrame
        The other keys; how many ``samples`` have an answer, and its mean, ``ratio``; the mean of where they cross the limit;
        ``sample_error``, the standard deviation of that, the error of one sample; ``standard_error`` of the mean; ``least``
        and ``most`` of the samples.
    """
    others = [key for key in keys if key != SEED]
    rows: list[dict[str, Any]] = []
    for mine in [each for _, each in found.groupby(others, sort=False, dropna=False)] if others else [found]:
        mine = mine[mine["ratio"].notna()]
        where = [crossing(tried[(tried[keys] == row[keys]).all(axis=1)], float(row["ratio"]), limit) for _, row in mine.iterrows()]
        apart = float(np.std(where, ddof=1)) if len(where) > 1 else np.nan
        ends = (min(where), max(where)) if where else (np.nan, np.nan)
        middle = float(np.mean(where)) if where else np.nan
        values = (len(where), mine["ratio"].astype(float).mean(), middle, apart, apart / max(len(where), 1) ** 0.5, *ends)
        rows.append(
            {**{key: mine.iloc[0][key] if len(mine) else None for key in others}, **dict(zip(OF_ERROR, values, strict=True))}
        )
    return pd.DataFrame(rows)


def told(row: Mapping[Any, Any], keys: list[str]) -> str:
    """A line of what samples answer."""
    words = " ".join(f"{key}={row[key]}" for key in keys if key != SEED) or "all"
    return (
        f"{words}: {row['samples']} samples cross the limit at {row['crossing']:.4g}, give or take {row['standard_error']:.2g} "
        f"(standard error); one alone is off by {row['sample_error']:.2g} ({100 * row['sample_error'] / row['crossing']:.2g} %)"
    )
