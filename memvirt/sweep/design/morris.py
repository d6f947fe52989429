"""Morris's trajectories over the intervals, one study for each combination of the other axes (Morris, 1991; drawn by SALib)."""

from __future__ import annotations

from typing import Any

from memvirt.errors import ConfigError
from memvirt.sweep.plan.axes import Axis
from memvirt.sweep.plan.choices import Design, crossed, intervals, number


def problem(count: int) -> dict[str, Any]:
    """SALib's words for that many numbers between 0 and 1."""
    return {"num_vars": count, "names": [str(each) for each in range(count)], "bounds": [[0.0, 1.0]] * count}


def salib_seed(plan: dict[str, Any]) -> int:
    """Read the seed as SALib takes it: to it, 0 is no seed."""
    return 1 + number(plan, "seed", 0)


def design(axes: list[Axis], plan: dict[str, Any]) -> Design:
    """Draw ``plan.trajectories`` trajectories on a grid of ``plan.levels``: trajectories × (intervals + 1) rows a study."""
    from SALib.sample import morris

    count = intervals(axes, "morris")
    levels = number(plan, "levels", 2)
    if levels % 2:
        raise ConfigError("plan.levels", levels, "must be even, so that a step of half the levels leaves each level as likely")
    rows = morris.sample(problem(count), number(plan, "trajectories", 2), num_levels=levels, seed=salib_seed(plan))
    return crossed(axes, rows)
