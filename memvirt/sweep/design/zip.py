"""The first values of all axes, the second values, and so on."""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt.errors import ConfigError
from memvirt.sweep.plan.axes import Axis
from memvirt.sweep.plan.choices import Design, Rows, no_intervals


def design(axes: list[Axis], plan: dict[str, Any]) -> Design:
    """Pair the axes value by value.

    Raises
    ------
    ConfigError
        If they have different numbers of values.
    """
    no_intervals(axes, "zip")
    if not axes:
        return Design(axes, Rows(np.zeros((1, 0), np.int32)))
    count = len(axes[0].values)
    for axis in axes:
        if len(axis.values) != count:
            why = f"plan=zip pairs values: it has {len(axis.values)} of them, {axes[0].key} has {count}"
            raise ConfigError(axis.key, ",".join(axis.texts), why)
    return Design(axes, Rows(np.repeat(np.arange(count, dtype=np.int32)[:, None], len(axes), axis=1)))
