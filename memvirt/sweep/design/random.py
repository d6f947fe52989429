"""Points drawn independently, evenly over every axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt.sweep.plan.axes import Axis
from memvirt.sweep.plan.choices import Design, draw, number


def design(axes: list[Axis], plan: dict[str, Any]) -> Design:
    """Draw ``plan.points`` points."""
    generator = np.random.default_rng(number(plan, "seed", 0))
    return draw(axes, generator.random((number(plan, "points", 1), len(axes))))
