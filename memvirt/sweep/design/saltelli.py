"""Saltelli's rows (2002, drawn by SALib) for Sobol's indices over the intervals, one study a combination of the other axes."""

from __future__ import annotations

from typing import Any

from memvirt.errors import ConfigError
from memvirt.sweep.design.morris import problem, salib_seed
from memvirt.sweep.plan.axes import Axis
from memvirt.sweep.plan.choices import Design, crossed, intervals, number


def design(axes: list[Axis], plan: dict[str, Any]) -> Design:
    """Draw ``plan.points`` × (intervals + 2) rows a study.

    Raises
    ------
    ConfigError
        If the points aren't a power of two, without which the indices converge more slowly.
    """
    from SALib.sample import sobol

    points = number(plan, "points", 2)
    if points & (points - 1):
        raise ConfigError("plan.points", points, "must be a power of two for plan=saltelli")
    rows = sobol.sample(problem(intervals(axes, "saltelli")), points, calc_second_order=False, seed=salib_seed(plan))
    return crossed(axes, rows)
