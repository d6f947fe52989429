"""What the engine knows of each distinct stage, of each room, and of stages that it has done with."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from memvirt.pipeline.layout import Stage
from memvirt.pipeline.rooms import BY_VALUE

CARRIED_STAGES = 20_000  #: stages remembered from one layout of a sweep to the next
NOTHING: dict[str, Any] = {}  #: never written to


class Failure(NamedTuple):
    """Why a point has no result.

    Attributes
    ----------
    status : {'error', 'crashed', 'timeout'}
    error : str
        In one line.
    details : str
        A traceback, if it was unforeseen.
    """

    status: str
    error: str
    details: str = ""


@dataclass(slots=True, eq=False)
class Node:
    """A distinct stage."""

    name: str
    stage: Stage
    inputs: list[Node]
    digests: dict[str, str] | None = None
    fields: dict[str, Any] = field(default_factory=lambda: NOTHING)
    bytes: int = 0
    place: str = ""
    seconds: float = 0.0
    chain: float = 0.0  # seconds of the longest way here
    asked: int = 0
    runs: int = 0
    claims: int = 0  # stages and nodes that may yet read its fields
    waiting: list[Stage] | None = None  # for its digests
    blocked: list[Node] | None = None  # for its fields
    missing: int = 0
    state: str = "idle"  # idle, blocked, ready, running
    strikes: tuple[tuple[str, bool], ...] = ()  # where its worker died, and whether it was alone in its batch
    losses: int = 0  # how often its inputs were lost
    alone: bool = False  # to be run in a batch of its own
    failure: Failure | None = None
    kept: bool = False
    since: float = 0.0  # when it became ready

    @property
    def chain_before(self) -> float:
        """Seconds of the longest way to what it reads."""
        return max((each.chain for each in self.inputs), default=0.0)

    def has(self, names: tuple[str, ...]) -> bool:
        """Whether these fields are at hand."""
        return all(name in self.fields for name in names)

    @property
    def has_inputs(self) -> bool:
        """Whether all that it reads is at hand."""
        return all(each.has(fields) for fields, each in zip(self.stage.reads, self.inputs, strict=True))


class Carried(OrderedDict[str, tuple[dict[str, str], dict[str, Any], float, Failure | None]]):
    """What is remembered of stages from one layout to the next: digests, fields that travel by value, seconds, failure."""

    def remember(self, node: Node, fields: dict[str, Any]) -> None:
        """Remember a stage, and forget the oldest where there are too many."""
        value = {name: fields[name] for name in BY_VALUE if name in fields}
        self[node.name] = (node.digests or {}, value, node.seconds, node.failure)
        if len(self) > CARRIED_STAGES:
            self.popitem(last=False)


@dataclass
class Tally:
    """What one room was asked for, and what it cost."""

    asked: int = 0
    planned: int = 0
    distinct: int = 0
    computed: int = 0
    reused: int = 0
    failed: int = 0
    seconds: float = 0.0
    compiling: float = 0.0
    saved: float = 0.0

    def plus(self, other: Tally) -> Tally:
        """The sum of two."""
        return Tally(*(getattr(self, each.name) + getattr(other, each.name) for each in dataclasses.fields(self)))
