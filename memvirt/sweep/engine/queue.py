"""Which stages run next, and how many together.

The deepest stages come first, so that rows appear early and what they read can be let go; but stages that take a
moment wait until there are enough of them to be worth sending, or until they have waited long enough. Of the stages
that compile the same kernels, one runs first, and the others use what it compiled.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from memvirt.pipeline.rooms import ROOMS
from memvirt.sweep.engine.node import Node
from memvirt.sweep.executor import Outcome, Remote

BATCH_SECONDS = 0.1  #: stages that take less are sent together
LARGEST_BATCH = 256
PATIENCE = 0.5  #: seconds that a stage waits for others to be sent with
LOOK_AHEAD = 16  #: stages looked through for one whose inputs are where a worker is free
LIGHT = tuple(name for name, room in ROOMS.items() if room.light)
FIRST_GUESS = 0.002  #: seconds of a light stage
Kind = tuple[str, ...]


class Queue:
    """Stages that are ready to run.

    Parameters
    ----------
    wanted : function
        Whether a node is still to be run.
    """

    def __init__(self, wanted: Callable[[Node], bool]) -> None:
        self.wanted = wanted
        self.ready: dict[str, deque[Node]] = {room: deque() for room in reversed(ROOMS)}
        self.compiling: dict[Kind, list[Node]] = {}  # what waits until one of its kind has compiled
        self.compiled: set[Kind] = {(room,) for room in LIGHT}
        self.mean: dict[Kind, float] = {(room,): FIRST_GUESS for room in LIGHT}
        self.of_room: dict[str, float] = dict.fromkeys(LIGHT, FIRST_GUESS)
        self._kinds: dict[int, Kind] = {}

    def __len__(self) -> int:
        return sum(map(len, self.ready.values()))

    def push(self, node: Node) -> None:
        """Add a node."""
        node.since = time.monotonic()
        self.ready[node.stage.room].append(node)

    def kind(self, node: Node) -> Kind:
        """What decides which kernels a stage compiles: its room and the policies that it names."""
        room, config = node.stage.room, node.stage.config
        if room in LIGHT:
            return (room,)
        kind = self._kinds.get(id(config))
        if kind is None or kind[0] != room:
            found = [room]

            def walk(value: Any) -> None:
                if isinstance(value, dict):
                    found.extend(str(each) for name, each in value.items() if name in ("name", "dimensions"))
                    for each in value.values():
                        walk(each)

            walk(config.value)
            kind = self._kinds[id(config)] = tuple(found)
        return kind

    def expected(self, node: Node) -> float:
        """Seconds that a node should take."""
        return self.mean.get(self.kind(node), 1.0)

    def take(self, places: Sequence[str], workers: int, producers: bool, spread: bool) -> list[Node]:
        """Take the next batch out; none if nothing is ready.

        Parameters
        ----------
        places : sequence of str
            Machines where a worker is free.
        workers : int
            How many there are in all: what is ready is shared among them.
        producers : bool
            Whether stages may run that only take memory.
        spread : bool
            Whether it matters on which machine a stage's inputs are.
        """
        while (room := self._room(producers)) is not None:
            most = min(-(-len(self.ready[room]) // workers), LARGEST_BATCH)
            first = self._pop(room)
            if first is None:
                continue
            if spread:
                first = self._nearest(room, first, {"", *places})
            batch, seconds = [first], self.expected(first)
            if first.alone or self.kind(first) not in self.compiled:
                return batch
            while len(batch) < most and seconds < BATCH_SECONDS:
                node = self._pop(room)
                if node is None:
                    break
                if node.alone or self.kind(node) not in self.compiled:
                    self.ready[room].appendleft(node)
                    break
                batch.append(node)
                seconds += self.expected(node)
            return batch
        return []

    def _room(self, producers: bool) -> str | None:
        """The deepest room whose stages are worth sending; the one with most to do, if there is none."""
        now = time.monotonic()
        best, most = None, -1.0
        for room, nodes in self.ready.items():
            if not nodes or (ROOMS[room].costs_memory and not producers):
                continue
            seconds = len(nodes) * self.of_room.get(room, 1.0)
            if seconds >= BATCH_SECONDS or len(nodes) >= LARGEST_BATCH or now - nodes[0].since > PATIENCE:
                return room
            if seconds > most:
                best, most = room, seconds
        return best

    def _pop(self, room: str) -> Node | None:
        """The room's next node that is still wanted and needn't wait for another to compile."""
        nodes = self.ready[room]
        while nodes:
            node = nodes.popleft()
            if node.state != "ready" or not self.wanted(node):
                continue
            kind = self.kind(node)
            if kind not in self.compiling:
                return node
            self.compiling[kind].append(node)
        return None

    def _nearest(self, room: str, first: Node, places: set[str]) -> Node:
        """Of the room's next few nodes, the first whose inputs are on one of these machines."""
        seen = [first]
        while home(seen[-1]) not in places and len(seen) < LOOK_AHEAD:
            node = self._pop(room)
            if node is None:
                break
            seen.append(node)
        chosen = seen[-1] if home(seen[-1]) in places else first
        self.ready[room].extendleft(node for node in reversed(seen) if node is not chosen)
        return chosen

    def started(self, batch: Sequence[Node]) -> float:
        """Note that a batch runs; returns the seconds that it should take."""
        kind = self.kind(batch[0])
        if kind not in self.compiled:
            self.compiling.setdefault(kind, [])
            return 60.0
        return sum(map(self.expected, batch))

    def ended(self, batch: Sequence[Node], outcomes: Sequence[Outcome]) -> None:
        """Note that a batch is over, lost if there are no outcomes; what waited for what it compiled is ready."""
        kind = self.kind(batch[0])
        for node in reversed(self.compiling.pop(kind, [])):
            self.ready[node.stage.room].appendleft(node)
        if outcomes:
            self.compiled.add(kind)
        for node, outcome in zip(batch, outcomes, strict=False):
            if outcome.status == "ok":
                kind, room = self.kind(node), node.stage.room
                self.mean[kind] = outcome.seconds if kind not in self.mean else 0.8 * self.mean[kind] + 0.2 * outcome.seconds
                known = self.of_room.get(room)
                self.of_room[room] = outcome.seconds if known is None else 0.9 * known + 0.1 * outcome.seconds


def home(node: Node) -> str:
    """The machine that holds most of what a node reads."""
    held: dict[str, int] = {}
    for fields, each in zip(node.stage.reads, node.inputs, strict=True):
        for name in fields:
            value = each.fields.get(name)
            if isinstance(value, Remote):
                held[value.place] = held.get(value.place, 0) + value.bytes
    return max(held, key=lambda place: held[place]) if held else ""
