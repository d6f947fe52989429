"""Which stages somebody still waits for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized

from memvirt.pipeline.layout import Layout, Stage
from memvirt.sweep.engine.holdings import Holdings
from memvirt.sweep.engine.node import Node


class Demand:
    """The layout's stages, by number: who waits for each, and whether it is over.

    Parameters
    ----------
    layout : Layout
    results : mapping
        Stage number of each result that is wanted to those who want it.
    holdings : Holdings
        Is told whose fields nobody may read any more.

    Attributes
    ----------
    over : bytearray
        1 for a stage that is settled or failed.
    """

    def __init__(self, layout: Layout, results: Mapping[int, Sized], holdings: Holdings) -> None:
        self._stages, self._holdings = layout.stages, holdings
        count = len(layout.stages)
        self._consumers: list[list[int]] = [[] for _ in range(count)]
        self._missing = [len(stage.inputs) for stage in layout.stages]
        self._live = [0] * count  # consumers that haven't failed, and those who want a result
        self._nodes: list[Node | None] = [None] * count
        self.over = bytearray(count)
        for stage in layout.stages:
            holdings.unkeyed[stage.room] += 1
            self._live[stage.number] += len(results.get(stage.number, ()))
            for need in stage.inputs:
                self._consumers[need.number].append(stage.number)
                self._live[need.number] += 1

    def node(self, stage: Stage) -> Node:
        """The node of a stage that has a key."""
        node = self._nodes[stage.number]
        assert node is not None
        return node

    def join(self, stage: Stage, node: Node) -> None:
        """A stage has its key, and so its node, whose fields its consumers may read."""
        self._nodes[stage.number] = node
        node.claims += sum(not self.over[consumer] for consumer in self._consumers[stage.number])
        self._holdings.keyed(stage.room)

    def wants(self, node: Node) -> bool:
        """Whether anybody still waits for a node."""
        return any(not self.over[stage.number] and self._live[stage.number] > 0 for stage in node.waiting or ()) or any(
            map(self.wants, node.blocked or ())
        )

    def settle(self, stage: Stage) -> Iterator[Stage]:
        """A stage's digests are known: hands out those that it was the last to wait for, one after the other."""
        if self.over[stage.number]:
            return
        self.over[stage.number] = True
        for need in stage.inputs:
            self._holdings.unclaim(self.node(need))
        for consumer in self._consumers[stage.number]:
            self._missing[consumer] -= 1
            if self._missing[consumer] == 0 and not self.over[consumer]:  # over: nobody waits for it any more
                yield self._stages[consumer]

    def fail(self, stage: Stage) -> Iterator[int]:
        """A stage can't be had: hands out its number and those of all that need it; what only they needed isn't wanted any more."""
        if self.over[stage.number]:
            return
        self._give_up(stage)
        yield stage.number
        for consumer in self._consumers[stage.number]:
            yield from self.fail(self._stages[consumer])

    def _give_up(self, stage: Stage) -> None:
        """A stage won't be had, or isn't wanted any more: give back what it may have read."""
        self.over[stage.number] = True
        if self._nodes[stage.number] is None:
            self._holdings.keyed(stage.room)
        for need in stage.inputs:
            number = need.number
            producer = self._nodes[number]
            if producer is not None:
                self._holdings.unclaim(producer)
            self._live[number] -= 1
            if self._live[number] == 0 and not self.over[number] and producer is None:
                self._give_up(need)
