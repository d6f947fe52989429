"""A Latin hypercube: each axis, cut into as many parts as there are points, has one point in each part (McKay et al., 1979)."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import qmc

from memvirt.sweep.plan.axes import Axis
from memvirt.sweep.plan.choices import Design, draw, number


def design(axes: list[Axis], plan: dict[str, Any]) -> Design:
    """Draw ``plan.points`` points."""
    points, seed = number(plan, "points", 1), number(plan, "seed", 0)
    if not axes:
        return draw(axes, np.zeros((points, 0)))
    return draw(axes, qmc.LatinHypercube(len(axes), rng=seed).random(points))
