"""Sobol's sequence, scrambled: fills the space evenly, best with a power of two points (Sobol', 1967; Owen, 1998)."""

from __future__ import annotations

import warnings
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # other numbers than powers of two are worse, not wrong
        return draw(axes, qmc.Sobol(len(axes), rng=seed).random(points))
