"""Runs points as a graph of distinct stages, each computed once.

A stage's key needs the digests of what it reads, so keys appear as stages end: every (point, stage) waits until the
stages that it needs are done, is keyed, and joins the node of that key, new or old. The deepest stages run first, so
that rows appear early and what they read can be let go.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from memvirt.compute import LIGHT, ROOMS
from memvirt.point import Point
from memvirt.stages import Stage, graph, key
from memvirt.sweep.executors import Executor, Outcome, attempt


class Failure(NamedTuple):
    """Why a point has no result."""

    status: str
    error: str
    details: str


Result = dict[str, Any] | Failure


@dataclass
class Node:
    """A distinct stage, and the (point, place) pairs that wait for it or have it."""

    stage: Stage
    inputs: list[dict[str, Any]]
    waiting: list[tuple[int, int]] = field(default_factory=list)
    users: int = 0
    outcome: Outcome | None = None


@dataclass
class Tally:
    """What one room was asked for, and what it cost."""

    asked: int = 0
    distinct: int = 0
    seconds: float = 0.0
    compiling: float = 0.0
    saved: float = 0.0


@dataclass
class Progress:
    """Of one point."""

    stages: list[Stage]
    consumers: list[list[int]]
    nodes: list[Node | None]
    missing: list[int]
    over: bool = False


def signature(stage: Stage) -> tuple[str, ...]:
    """What decides which kernels a stage compiles: its room and the policies that it names."""
    found: list[str] = [stage.room]

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.extend(str(each) for name, each in value.items() if name in ("name", "dimensions"))
            for each in value.values():
                walk(each)

    walk(stage.config)
    return tuple(found)


class Engine:
    """Computes points.

    Parameters
    ----------
    executor : Executor
    finished : function
        Called with a point's number and its `Result` as soon as it is known.
    watch : function
        Called now and then, with the engine.
    """

    def __init__(self, executor: Executor, finished: Callable[[int, Result], None], watch: Callable[[Engine], None]) -> None:
        self.executor, self.finished, self.watch = executor, finished, watch
        self.nodes: dict[str, Node] = {}
        self.points: dict[int, Progress] = {}
        self.tallies = {room: Tally() for room in ROOMS}
        self.unkeyed: Counter[str] = Counter()
        self.ready: list[tuple[int, int, str]] = []
        self.held: dict[tuple[str, ...], list[tuple[int, int, str]]] = {}
        self.compiled: set[tuple[str, ...]] = set()
        self.running: set[str] = set()
        self.order = itertools.count()
        self.depth = {room: -number for number, room in enumerate(ROOMS)}

    def run(self, points: dict[int, Point]) -> None:
        """Compute points, known by number."""
        for number, point in points.items():
            stages = graph(point)
            consumers: list[list[int]] = [[] for _ in stages]
            for place, stage in enumerate(stages):
                self.unkeyed[stage.room] += 1
                for need in stage.needs:
                    consumers[need.stage].append(place)
            self.points[number] = Progress(stages, consumers, [None] * len(stages), [len(s.needs) for s in stages])
        for number, progress in self.points.items():
            for place, stage in enumerate(progress.stages):
                if not stage.needs:
                    self._join(number, place)
        while self.ready or self.running:
            self._fill()
            self.watch(self)
            if self.running:
                for name, outcome in self.executor.wait(0.5):
                    self._ended(str(name), outcome)

    def _join(self, number: int, place: int) -> None:
        """Key a stage of a point and let it join its node."""
        progress = self.points[number]
        if progress.over:
            return
        stage = progress.stages[place]
        needed = [self._needed(progress, need.stage) for need in stage.needs]
        name = key(stage, [outcome.digests for _, outcome in needed])
        self.unkeyed[stage.room] -= 1
        tally = self.tallies[stage.room]
        tally.asked += 1
        node = self.nodes.get(name)
        if node is None:
            inputs = [
                {field: outcome.fields[field] for field in need.fields}
                for need, (_, outcome) in zip(stage.needs, needed, strict=True)
            ]
            node = self.nodes[name] = Node(stage, inputs)
            tally.distinct += 1
            heapq.heappush(self.ready, (self.depth[stage.room], next(self.order), name))
        elif node.outcome is not None:
            tally.saved += node.outcome.seconds
        progress.nodes[place] = node
        node.users += len(progress.consumers[place])
        if node.outcome is None:
            node.waiting.append((number, place))
        else:
            self._settle(node, number, place)
        if self.unkeyed[stage.room] == 0:
            self._release_room(stage.room)

    @staticmethod
    def _needed(progress: Progress, place: int) -> tuple[Node, Outcome]:
        node = progress.nodes[place]
        assert node is not None and node.outcome is not None
        return node, node.outcome

    def _fill(self) -> None:
        """Start ready stages while there is room; of those that compile the same kernels, one first."""
        while self.ready and len(self.running) <= self.executor.workers:
            item = heapq.heappop(self.ready)
            node = self.nodes[item[2]]
            if all(self.points[number].over for number, _ in node.waiting):
                del self.nodes[item[2]]  # a point that asks for it later makes it anew
                self.tallies[node.stage.room].distinct -= 1
                continue
            if node.stage.room in LIGHT:
                inputs = [{name: self.executor.fetch(handle) for name, handle in each.items()} for each in node.inputs]
                self._ended(item[2], attempt(node.stage, inputs))
                continue
            kind = signature(node.stage)
            if kind not in self.compiled:
                if kind in self.held:
                    self.held[kind].append(item)
                    continue
                self.held[kind] = []
            self.running.add(item[2])
            self.executor.submit(item[2], node.stage, node.inputs)

    def _ended(self, name: str, outcome: Outcome) -> None:
        """Take a stage's outcome to every point that waits for it."""
        self.running.discard(name)
        node = self.nodes[name]
        kind = signature(node.stage)
        self.compiled.add(kind)
        for item in self.held.pop(kind, []):
            heapq.heappush(self.ready, item)
        node.outcome, node.inputs = outcome, []
        tally = self.tallies[node.stage.room]
        tally.seconds += outcome.seconds
        tally.compiling += outcome.compiling
        waiting, node.waiting = node.waiting, []
        tally.saved += outcome.seconds * (len(waiting) - 1)
        for number, place in waiting:
            self._settle(node, number, place)

    def _settle(self, node: Node, number: int, place: int) -> None:
        """One stage of a point is done: go on with those that it was the last to wait for."""
        progress = self.points[number]
        if progress.over:
            return
        assert node.outcome is not None
        if node.outcome.status != "ok":
            self._finish(number, Failure(node.outcome.status, node.outcome.error, node.outcome.details))
            return
        for need in progress.stages[place].needs:
            self._release(self._needed(progress, need.stage)[0])
        progress.missing[place] = -1
        if place == len(progress.stages) - 1:
            self._finish(number, node.outcome.fields)
            return
        for consumer in progress.consumers[place]:
            progress.missing[consumer] -= 1
            if progress.missing[consumer] == 0:
                self._join(number, consumer)

    def _release(self, node: Node) -> None:
        """One user of a node's fields less; let them go if nobody can ask for them any more."""
        node.users -= 1
        if node.users <= 0 and node.outcome is not None and self.unkeyed[node.stage.room] == 0:
            node.outcome = node.outcome._replace(fields={})

    def _release_room(self, room: str) -> None:
        for node in self.nodes.values():
            if node.stage.room == room and node.users <= 0 and node.outcome is not None:
                node.outcome = node.outcome._replace(fields={})

    def _finish(self, number: int, result: Result) -> None:
        """A point is over: report it, and give back what its stages held or would have asked for."""
        progress = self.points[number]
        progress.over = True
        for place, stage in enumerate(progress.stages):
            if progress.nodes[place] is None:
                self.unkeyed[stage.room] -= 1
                if self.unkeyed[stage.room] == 0:
                    self._release_room(stage.room)
            if progress.missing[place] != -1:  # not done: it has not given its needs back yet
                for need in stage.needs:
                    producer = progress.nodes[need.stage]
                    if producer is not None:
                        self._release(producer)
        self.finished(number, result)
        progress.stages, progress.consumers, progress.nodes = [], [], []
