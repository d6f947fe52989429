"""Which fields are at hand, and for how long: until nobody can ask for them, or until memory is short."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from memvirt.pipeline.rooms import ROOMS
from memvirt.sweep.engine.node import NOTHING, Node
from memvirt.sweep.executor import Remote

IDLE_STAGES = 2000  #: stages of a room remembered with their small fields though nobody may ask for them again


class Holdings:
    """The fields that are held.

    Parameters
    ----------
    memory : int
        Bytes of large fields that may be held at a time; more only where nothing could go on otherwise.

    Attributes
    ----------
    bytes, most_bytes : int
        Of large fields held now, and at the most so far.
    unkeyed : dict of int
        How many stages of each room have no key yet, so that they may turn out to be one that was computed.
    """

    def __init__(self, memory: int) -> None:
        self.memory = memory
        self.bytes = self.most_bytes = 0
        self.unkeyed = dict.fromkeys(ROOMS, 0)
        self._idle: dict[str, OrderedDict[str, Node]] = {room: OrderedDict() for room in ROOMS}  # the room's oldest first

    def hold(self, node: Node, fields: dict[str, Any], size: int, place: str) -> None:
        """Have a node's fields at hand."""
        self.bytes += size - node.bytes
        self.most_bytes = max(self.most_bytes, self.bytes)
        node.fields, node.bytes, node.place = fields, size, place

    def may_be_asked(self, node: Node) -> bool:
        """Whether anybody claims a node's fields, or may yet."""
        return node.claims > 0 or self.unkeyed[node.stage.room] > 0

    def unclaim(self, node: Node) -> None:
        """One who may read a node's fields less."""
        node.claims -= 1
        if node.claims <= 0:
            if self.unkeyed[node.stage.room] == 0:
                self._let_go(node)
            elif node.fields:
                self.set_aside(node)

    def set_aside(self, node: Node) -> None:
        """Hold what nobody reads for now, since another stage may turn out to be the same."""
        idle = self._idle[node.stage.room]
        idle[node.name] = node
        idle.move_to_end(node.name)
        if len(idle) > IDLE_STAGES:
            self._let_go(next(iter(idle.values())))

    def keyed(self, room: str) -> None:
        """One stage of a room less can ask for what the room has computed."""
        self.unkeyed[room] -= 1
        if self.unkeyed[room] == 0:
            for node in list(self._idle[room].values()):
                self._let_go(node)

    def _let_go(self, node: Node) -> None:
        self._idle[node.stage.room].pop(node.name, None)
        if node.state == "idle" and node.claims <= 0:
            self.bytes -= node.bytes
            node.fields, node.bytes = NOTHING, 0
            if node.digests and self.unkeyed[node.stage.room] == 0:
                node.digests = NOTHING  # nobody can ask for them any more

    def make_room(self) -> bool:
        """Let go of what may not be asked for again, the cheapest rooms' oldest first; whether the rest is within bounds."""
        for idle in reversed(self._idle.values()):
            while self.bytes > self.memory and idle:
                self._let_go(next(iter(idle.values())))
        return self.bytes <= self.memory

    def lose(self, node: Node) -> None:
        """A node's large fields are not at hand any more."""
        self.bytes -= node.bytes
        node.fields = {name: value for name, value in node.fields.items() if not isinstance(value, Remote)}
        node.bytes = 0

    def forget_machines(self, nodes: Iterable[Node], dead: set[str]) -> None:
        """What machines that died held is not at hand any more."""
        for node in nodes:
            if node.bytes and node.place in dead:
                self.lose(node)
