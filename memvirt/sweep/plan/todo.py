"""Which points of a plan are still to be computed, and their stages, so many at a time."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import ConfigError
from memvirt.pipeline.layout import Layout
from memvirt.pipeline.point import Point
from memvirt.sweep.plan.plan import Plan

WINDOW = 100_000  #: stages laid out at a time: about 200 MB of memory


class Wanted(NamedTuple):
    """Points of a plan.

    Attributes
    ----------
    plan : Plan
    numbers : (points,) int64
        Theirs in the plan.
    ids : list of str
    """

    plan: Plan
    numbers: NDArray[np.int64]
    ids: Sequence[str]


class Window:
    """Points that are computed together.

    Attributes
    ----------
    layout : Layout
    results : dict
        Stage number of each result to the places of its points among ``points``.
    points : list of (str, int)
        Id and number of VMs.
    """

    def __init__(self) -> None:
        self.layout = Layout()
        self.results: dict[int, list[int]] = {}
        self.points: list[tuple[str, int]] = []

    def add(self, point: Point, point_id: str) -> None:
        """Lay a point out."""
        self.results.setdefault(self.layout.add(point).number, []).append(len(self.points))
        self.points.append((point_id, point.count))


class Todo:
    """The points of a plan, all of them still to be computed unless some are known to be done.

    Attributes
    ----------
    ids : list of str
        Of each point of the plan.
    wanted : Wanted
        Each distinct one.
    missing : list of int
        Numbers of those to be computed.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.ids = [plan.point(number)[1] for number in range(len(plan))]
        first: dict[str, int] = {}
        for number, point_id in enumerate(self.ids):
            if point_id not in first:
                first[point_id] = number
            elif not plan.repeats:
                pair = f"{plan.varied(first[point_id])} and {plan.varied(number)}"
                raise ConfigError("sweep", pair, "are the same point, written in two ways")
        self.missing = list(first.values())
        self.wanted = Wanted(plan, np.array(list(first.values()), np.int64), list(first))

    def skip(self, done: Container[str]) -> None:
        """Leave points out that are done, by their ids."""
        self.missing = [number for number in self.missing if self.ids[number] not in done]

    def windows(self) -> Iterator[Window]:
        """Lay the missing points out, so many at a time that their stages don't take too much memory."""
        window = Window()
        for number in self.missing:
            point, point_id = self.plan.point(number)
            window.add(point, point_id)
            if len(window.layout.stages) >= WINDOW:
                window.layout.finish()
                yield window
                window = Window()
        if window.points:
            window.layout.finish()
            yield window
