"""What is known of a stage without computing it: from this sweep's earlier layouts, from the journal, from the disk."""

from __future__ import annotations

from typing import Any

from memvirt.pipeline.compute import known_digests
from memvirt.pipeline.rooms import BY_VALUE, ROOMS
from memvirt.sweep.engine.node import Carried, Node, Tally
from memvirt.sweep.executor import Executor, Outcome
from memvirt.sweep.store.kept import Kept, KeptStage


class Recall:
    """Looks stages up, and keeps them for later.

    Parameters
    ----------
    known : set of str
        Keys of results whose rows there are already.
    carried : Carried
        Stages of earlier layouts of the same sweep.
    kept : Kept, optional
        Stages of earlier sweeps, on disk.
    executor : Executor
        Holds large fields.
    tallies : dict of Tally
        By room; distinct and reused stages are counted.
    """

    def __init__(self, known: set[str], carried: Carried, kept: Kept | None, executor: Executor, tallies: dict[str, Tally]) -> None:
        self.known, self.carried, self.kept, self.executor, self.tallies = known, carried, kept, executor, tallies

    def look_up(self, node: Node) -> None:
        """Give a new node what is known of it."""
        if not self._carry_over(node):
            self.tallies[node.stage.room].distinct += 1
            self._recall(node)

    def _carry_over(self, node: Node) -> bool:
        """Whether a new node was distinct already in an earlier layout; what is known of it is taken over."""
        found = self.carried.get(node.name)
        if found is not None:
            digests, node.fields, node.seconds, node.failure = found
            node.digests = digests or None
            node.chain = node.seconds + node.chain_before
            node.kept = self.kept is not None and node.name in self.kept.names
        return found is not None

    def _recall(self, node: Node) -> None:
        room = node.stage.room
        if ROOMS[room].gives_rows:
            if node.name in self.known:
                node.digests = known_digests(room, node.name)
                self.tallies[room].reused += 1
            return
        if self.kept is not None:
            found = self.kept.read(node.name)
            if found is not None and set(found.digests) == set(ROOMS[room].gives):
                node.digests, node.fields, node.seconds = found.digests, found.fields, found.seconds
                node.chain = node.seconds + node.chain_before
                node.kept = True
                self.tallies[room].reused += 1
                return
        if ROOMS[room].lazy:  # made when somebody reads it
            node.digests = known_digests(room, node.name)

    def load(self, node: Node) -> tuple[dict[str, Any], int, str] | None:
        """Take all of a node's fields from the disk: handles, bytes and place; None if they aren't there."""
        if self.kept is None or not node.kept:
            return None
        small, large = self.kept.read(node.name), self.kept.read_large(node.name) or {}
        fields = {**small.fields, **large} if small is not None else large
        if set(fields) != set(ROOMS[node.stage.room].gives):
            node.kept = False
            return None
        return self.executor.put(fields)

    def keep(self, node: Node, outcome: Outcome) -> None:
        """Remember a stage for later layouts, and on disk for later sweeps, where that is worth while."""
        room = ROOMS[node.stage.room]
        if not room.light:
            self.carried.remember(node, outcome.fields)
        if self.kept is None or room.known_by_key or not self.kept.worth_keeping(outcome.seconds, outcome.bytes):
            return
        large = {name: value for name, value in outcome.fields.items() if name not in BY_VALUE}
        small = {name: value for name, value in outcome.fields.items() if name not in large}
        fetched = self.executor.fetch(large)
        if fetched is not None:
            self.kept.write(node.name, KeptStage(outcome.digests, small, outcome.seconds), fetched)
            node.kept = True
