"""No study: the points are what is wanted."""

from __future__ import annotations

from typing import NamedTuple

from memvirt.sweep.call import Call
from memvirt.sweep.plan.plan import Plan
from memvirt.sweep.study import Study


class Points(NamedTuple):
    """The plan that was asked for."""

    plan: Plan

    def run(self, study: Study) -> None:
        """Compute it."""
        study.evaluate(self.plan)


def make(call: Call) -> Points:
    """Plan what was asked for."""
    return Points(call.plan())
