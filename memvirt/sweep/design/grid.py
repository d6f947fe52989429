"""Every combination of all values."""

from __future__ import annotations

from typing import Any

from memvirt.sweep.plan.axes import Axis
from memvirt.sweep.plan.choices import Design, Grid, no_intervals


def design(axes: list[Axis], plan: dict[str, Any]) -> Design:
    """Cross the axes; the last one goes fastest."""
    no_intervals(axes, "grid")
    return Design(axes, Grid([len(axis.values) for axis in axes]))
