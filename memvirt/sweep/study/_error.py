"""The error of sampling: what several samples of the same VMs (`vms.scale_seed`) answer, put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

SEED = "vms.scale_seed"
OF_ERROR = ("samples", "ratio", "sample_error", "standard_error", "least", "most")  #: columns beside the keys


def errors(found: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Put the samples of each combination of the other keys together.

    Parameters
    ----------
    found : DataFrame
        The keys and ``ratio``, the answer of each sample; NaN where it is never safe.
    keys : list of str

    Returns
    -------
    DataFrame
        The other keys; how many ``samples`` have an answer, and its mean, ``ratio``; ``sample_error``, the standard deviation,
        which is the error of an answer by one sample; ``standard_error`` of the mean; ``least`` and ``most``.
    """
    others = [key for key in keys if key != SEED]
    rows: list[dict[str, Any]] = []
    for mine in [each for _, each in found.groupby(others, sort=False, dropna=False)] if others else [found]:
        ratio = mine["ratio"].dropna().astype(float)
        apart = float(ratio.std(ddof=1)) if len(ratio) > 1 else float("nan")
        values = (len(ratio), ratio.mean(), apart, apart / max(len(ratio), 1) ** 0.5, ratio.min(), ratio.max())
        rows.append({**{key: mine.iloc[0][key] for key in others}, **dict(zip(OF_ERROR, values, strict=True))})
    return pd.DataFrame(rows)


def told(row: Mapping[Any, Any], keys: list[str]) -> str:
    """A line of what samples answer."""
    words = " ".join(f"{key}={row[key]}" for key in keys if key != SEED) or "all"
    return (
        f"{words}: {row['samples']} samples say {row['ratio']:.4g}, give or take {row['standard_error']:.2g} (standard error); "
        f"one alone is off by {row['sample_error']:.2g} ({100 * row['sample_error'] / row['ratio']:.2g} %)"
    )
