"""Batches whose worker died: tried once more as they are, then in halves, down to the stage at fault."""

from __future__ import annotations

from memvirt.sweep.engine.node import Failure, Node
from memvirt.sweep.executor import Ended


class Losses:
    """Batches that are to be tried again.

    Attributes
    ----------
    again : list of list of Node
    """

    def __init__(self) -> None:
        self.again: list[list[Node]] = []

    def add(self, batch: list[Node], ended: Ended, dead: set[str]) -> Failure | None:
        """Take a batch that was lost; returns the failure of its only stage, if that has killed its worker each time.

        Parameters
        ----------
        batch : list of Node
        ended : Ended
        dead : set of str
            Machines that died: what was lost on them speaks against nobody.
        """
        if ended.machine_died:
            self.again.append(batch)
            return None
        for node in batch:
            node.strikes = (*node.strikes, (ended.lost, len(batch) == 1))
        strikes = [[alone for place, alone in node.strikes if place not in dead] for node in batch]
        if min(map(len, strikes)) < 2:
            self.again.append(batch)
        elif len(batch) > 1:
            for node in batch:
                node.alone = True
            self.again += [batch[: len(batch) // 2], batch[len(batch) // 2 :]]
        elif sum(strikes[0]) < 2:  # the others may have been at fault, or chance
            self.again.append(batch)
        else:
            return Failure("crashed", f"the worker died each time in {batch[0].stage.room}: {ended.reason}")
        return None
