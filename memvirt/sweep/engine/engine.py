"""Runs a layout of stages, each distinct one once, and gives each point its result.

A stage's key needs the digests of what it reads, so keys appear as stages end: a stage is keyed when all that it
needs is known, and joins the *node* of that key, new or old. A node is computed when somebody wants its fields; those
of its inputs that aren't at hand (never computed because an earlier sweep knows their digests, let go for want of
memory, lost with a machine) are computed first.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from memvirt.pipeline.layout import Layout, Stage, key
from memvirt.pipeline.rooms import ROOMS
from memvirt.sweep.engine.demand import Demand
from memvirt.sweep.engine.holdings import Holdings
from memvirt.sweep.engine.losses import Losses
from memvirt.sweep.engine.node import Carried, Failure, Node, Tally
from memvirt.sweep.engine.queue import Queue, home
from memvirt.sweep.engine.recall import Recall
from memvirt.sweep.executor import Ended, Executor, Job, Outcome
from memvirt.sweep.store.block import Block
from memvirt.sweep.store.kept import Kept

MOST_LOSSES = 8  #: times that a stage's inputs may be lost


class Engine:
    """Computes a layout.

    Parameters
    ----------
    layout : Layout
    results : dict
        Stage number of each result that is wanted to the points that it is for.
    executor : Executor
    finished : function
        Called with a block of rows (or None) and with (points, key) pairs whose rows are in this block or an earlier one.
    failed : function
        Called with a point and its `Failure`.
    watch : function, optional
        Called now and then, with the engine.
    known : set of str, optional
        Keys of results whose rows there are already.
    kept : Kept, optional
        Stages of earlier sweeps.
    carried : Carried, optional
        Stages of earlier layouts of the same sweep.
    memory : int, optional
        Bytes of large fields that may be held at a time; more only where nothing could go on otherwise.
    limit : float, optional
        Seconds that a point's stages may take, one after the other.
    """

    def __init__(
        self,
        layout: Layout,
        results: dict[int, list[int]],
        executor: Executor,
        finished: Callable[[Block | None, list[tuple[list[int], str]]], None],
        failed: Callable[[int, Failure], None],
        watch: Callable[[Engine], None] = lambda engine: None,
        known: set[str] | None = None,
        kept: Kept | None = None,
        carried: Carried | None = None,
        memory: int | None = None,
        limit: float | None = None,
    ) -> None:
        self.layout, self.results, self.executor, self.limit = layout, results, executor, limit
        self.finished, self.failed, self.watch = finished, failed, watch
        self.known = known if known is not None else set()
        self.tallies = {room: Tally() for room in ROOMS}
        self.nodes: dict[str, Node] = {}
        self.running: dict[int, list[Node]] = {}
        self.holdings = Holdings(memory or 1 << 62)
        self._carried = carried if carried is not None else Carried()
        self._recall = Recall(self.known, self._carried, kept, executor, self.tallies)
        self._demand = Demand(layout, results, self.holdings)
        self._queue = Queue(self._still_wanted)
        self._losses = Losses()
        self._dead: set[str] = set()
        self._batches = itertools.count()
        self._open = len(results)
        for stage in layout.stages:
            self.tallies[stage.room].asked += layout.asked[stage.number]
            self.tallies[stage.room].planned += 1

    def run(self) -> None:
        """Compute until every point has a result or a failure."""
        for stage in self.layout.stages:
            if not stage.inputs:
                self._join(stage)
        while self._open:
            self._fill()
            self.watch(self)
            assert self.running or self._queue or self._losses.again, "nothing runs and points are open"
            for ended in self.executor.wait(0.5):
                self._ended(ended)
            dead = self.executor.dead() - self._dead
            if dead:
                self._dead |= dead
                self.holdings.forget_machines(self.nodes.values(), dead)
        for node in self.nodes.values():
            self.tallies[node.stage.room].saved += node.seconds * (node.asked - node.runs)

    # Stages

    def _join(self, stage: Stage) -> None:
        """Key a stage, of whose needs all digests are known, and let it join its node."""
        inputs = [self._demand.node(need) for need in stage.inputs]
        name = key(stage, [node.digests or {} for node in inputs])
        node = self.nodes.get(name)
        if node is None:
            node = self.nodes[name] = Node(name, stage, inputs)
            self._recall.look_up(node)
        node.asked += self.layout.asked[stage.number]
        self._demand.join(stage, node)
        if node.failure is not None:
            self._fail(stage, node.failure)
        elif node.digests is not None:
            self._settle(stage)
        else:
            node.waiting = node.waiting or []
            node.waiting.append(stage)
            self._want(node)

    def _settle(self, stage: Stage) -> None:
        """A stage's digests are known: hand its rows on, and go on with those that it was the last to wait for."""
        over = self._demand.over[stage.number]
        if ROOMS[stage.room].gives_rows and not over:
            points = self._close(stage.number)
            if points:
                self.finished(None, [(points, self._demand.node(stage).name)])
        for consumer in self._demand.settle(stage):
            self._join(consumer)

    def _close(self, number: int) -> list[int] | None:
        """A result is there: the points that waited for it."""
        points = self.results.get(number)
        self._open -= 1 if points else 0
        return points

    def _fail(self, stage: Stage, failure: Failure) -> None:
        """A stage can't be had, nor what needs it."""
        for number in self._demand.fail(stage):
            if number in self.results:
                self._open -= 1
                for point in self.results[number]:
                    self.failed(point, failure)

    # Nodes

    def _want(self, node: Node) -> None:
        """Have a node computed, after what it reads."""
        if node.state == "blocked":  # what it waits for may have been given up while nobody wanted it
            self._block(node)
            return
        if node.state != "idle" or node.failure is not None:
            return
        loaded = self._recall.load(node)
        if loaded is not None:
            self.holdings.hold(node, *loaded)
            return
        for each in node.inputs:
            each.claims += 1
        self._block(node)

    def _block(self, node: Node) -> None:
        """Wait for the inputs that aren't at hand, or be ready."""
        node.state, node.missing = "blocked", 0
        failure = None
        for fields, each in zip(node.stage.reads, node.inputs, strict=True):
            if not each.has(fields):
                self._want(each)
                if each.failure is not None:
                    failure = each.failure
                elif not each.has(fields):
                    each.blocked = each.blocked or []
                    each.blocked.append(node)
                    node.missing += 1
        if failure is not None:
            self._fail_node(node, failure)
        elif node.missing == 0:
            node.state = "ready"
            self._queue.push(node)

    # Batches

    def _fill(self) -> None:
        """Give every free worker a batch."""
        while True:
            places = self.executor.free()
            if not places:
                return
            if self._losses.again:
                batch = [node for node in self._losses.again.pop() if self._still_wanted(node)]
            else:
                producers = self.holdings.make_room() or not self.running
                batch = self._queue.take(places, self.executor.workers, producers, self.executor.spread)
                if not batch:
                    return
            batch = [node for node in batch if self._can_start(node)]
            if batch:
                self._submit(batch)

    def _still_wanted(self, node: Node) -> bool:
        """Whether anybody still waits for a node that is about to run; if not, it goes back to rest."""
        if self._demand.wants(node):
            return True
        node.state = "idle"
        for each in node.inputs:
            self.holdings.unclaim(each)
        return False

    def _can_start(self, node: Node) -> bool:
        """Whether all that a node reads is still there; if not, it waits for that again."""
        if not node.has_inputs:
            self._block(node)
            return False
        return True

    def _submit(self, batch: list[Node]) -> None:
        jobs = []
        for node in batch:
            node.state = "running"
            inputs = [
                {name: each.fields[name] for name in fields} for fields, each in zip(node.stage.reads, node.inputs, strict=True)
            ]
            limit = max(self.limit - node.chain_before, 0.0) if self.limit is not None else None
            jobs.append(Job(node.name, node.stage.room, node.stage.config.value, inputs, limit))
        number = next(self._batches)
        self.running[number] = batch
        self.executor.submit(number, jobs, self._queue.started(batch), home(batch[0]) if self.executor.spread else "")

    # Outcomes

    def _ended(self, ended: Ended) -> None:
        batch = self.running.pop(ended.number)
        self._queue.ended(batch, [] if ended.lost else ended.outcomes)
        if ended.lost:
            failure = self._losses.add(batch, ended, self.executor.dead())
            if failure is not None:
                self._fail_node(batch[0], failure)
            return
        settled: list[Stage] = []
        for node, outcome in zip(batch, ended.outcomes, strict=True):
            if outcome.status == "lost":
                self._inputs_lost(node)
            elif outcome.status == "skipped":
                self._block(node)
            elif outcome.status != "ok":
                self._count(node, outcome)
                error = outcome.error
                if outcome.status == "timeout":
                    error = f"{node.stage.room} would have taken the point beyond its time limit of {self.limit:g} s"
                self._fail_node(node, Failure(outcome.status, error, outcome.details))
            else:
                self._count(node, outcome)
                settled += self._done(node, outcome)
        self._deliver(ended.block, settled)

    def _deliver(self, block: Block | None, settled: list[Stage]) -> None:
        """Hand rows on with the points that they are of, then settle the stages."""
        pairs = []
        for stage in settled:
            if ROOMS[stage.room].gives_rows and not self._demand.over[stage.number]:
                for _ in self._demand.settle(stage):
                    raise AssertionError("nothing reads a result")
                points = self._close(stage.number)
                if points:
                    pairs.append((points, self._demand.node(stage).name))
        if block is not None:
            self.finished(block, pairs)
            self.known.update(name for _, name in pairs)
        for stage in settled:
            self._settle(stage)

    def _count(self, node: Node, outcome: Outcome) -> None:
        tally = self.tallies[node.stage.room]
        tally.computed += 1
        tally.seconds += outcome.seconds
        tally.compiling += outcome.compiling
        node.runs += 1
        node.seconds = outcome.seconds
        node.chain = outcome.seconds + node.chain_before

    def _done(self, node: Node, outcome: Outcome) -> list[Stage]:
        """Take a node's fields; returns the stages that waited for its digests."""
        node.state = "idle"
        if node.digests and node.digests != outcome.digests:
            self._fail_node(node, Failure("error", f"{node.stage.room} gave another outcome when it was computed again"))
            return []
        node.digests = outcome.digests
        if self.holdings.may_be_asked(node):
            self.holdings.hold(node, outcome.fields, outcome.bytes, outcome.place)
            if node.claims <= 0:
                self.holdings.set_aside(node)
        self._recall.keep(node, outcome)
        for each in node.inputs:
            self.holdings.unclaim(each)
        blocked, node.blocked = node.blocked or [], None
        for each in blocked:
            each.missing -= 1
            if each.missing == 0 and each.state == "blocked":
                self._block(each)
        waiting, node.waiting = node.waiting or [], None
        return waiting

    def _fail_node(self, node: Node, failure: Failure) -> None:
        node.state, node.failure = "idle", failure
        self.tallies[node.stage.room].failed += 1
        self._carried.remember(node, {})
        for each in node.inputs:
            self.holdings.unclaim(each)
        waiting, node.waiting = node.waiting or [], None
        blocked, node.blocked = node.blocked or [], None
        for stage in waiting:
            self._fail(stage, failure)
        for other in blocked:
            if other.state == "blocked":
                self._fail_node(other, failure)

    def _inputs_lost(self, node: Node) -> None:
        """What a node reads is computed again, unless it is lost each time."""
        node.losses += 1
        for each in node.inputs:
            self.holdings.lose(each)
        if node.losses > MOST_LOSSES:
            self._fail_node(node, Failure("crashed", f"what {node.stage.room} reads was lost {node.losses} times"))
        else:
            self._block(node)
