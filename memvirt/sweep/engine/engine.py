"""Runs a layout of stages, each distinct one once, and gives each point its result.

A stage's key needs the digests of what it reads, so keys appear as stages end: a stage is keyed when all that it
needs is known, and joins the *node* of that key, new or old. A node is computed when somebody wants its fields; those
of its inputs that aren't at hand (never computed because an earlier sweep knows their digests, let go for want of
memory, lost with a machine) are computed first.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from memvirt.pipeline.compute import known_digests
from memvirt.pipeline.layout import Layout, Stage, key
from memvirt.pipeline.rooms import BY_VALUE, ROOMS
from memvirt.sweep.engine.node import NOTHING, Carried, Failure, Node, Tally
from memvirt.sweep.engine.queue import Queue, home
from memvirt.sweep.executor import Ended, Executor, Job, Outcome, Remote
from memvirt.sweep.store.block import Block
from memvirt.sweep.store.kept import Kept, KeptStage

MOST_LOSSES = 8  #: times that a stage's inputs may be lost
IDLE_STAGES = 2000  #: stages of a room remembered with their small fields though nobody may ask for them again


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
        self.layout, self.results, self.executor = layout, results, executor
        self.finished, self.failed, self.watch = finished, failed, watch
        self.known, self.kept, self.memory, self.limit = known if known is not None else set(), kept, memory or (1 << 62), limit
        self.carried = carried if carried is not None else Carried()
        count = len(layout.stages)
        self.consumers: list[list[int]] = [[] for _ in range(count)]
        self.missing = [len(stage.inputs) for stage in layout.stages]
        self.live = [0] * count  # consumers that haven't failed, and points that wait
        self.over = bytearray(count)  # settled or failed
        self.node_of: list[Node | None] = [None] * count
        self.nodes: dict[str, Node] = {}
        self.tallies = {room: Tally() for room in ROOMS}
        self.unkeyed = dict.fromkeys(ROOMS, 0)
        self.queue = Queue(self._still_wanted)
        self.running: dict[int, list[Node]] = {}
        self.again: list[list[Node]] = []  # batches of a worker that died
        self.idle: dict[str, OrderedDict[str, Node]] = {room: OrderedDict() for room in ROOMS}  # the room's oldest first
        self.held_bytes = self.most_bytes = 0
        self.dead: set[str] = set()
        self.batches = itertools.count()
        self.open = len(results)
        for stage in layout.stages:
            tally = self.tallies[stage.room]
            tally.asked += layout.asked[stage.number]
            tally.planned += 1
            self.unkeyed[stage.room] += 1
            self.live[stage.number] += len(results.get(stage.number, ()))
            for need in stage.inputs:
                self.consumers[need.number].append(stage.number)
                self.live[need.number] += 1

    def run(self) -> None:
        """Compute until every point has a result or a failure."""
        for stage in self.layout.stages:
            if not stage.inputs:
                self._join(stage)
        while self.open:
            self._fill()
            self.watch(self)
            assert self.running or self.queue or self.again, "nothing runs and points are open"
            for ended in self.executor.wait(0.5):
                self._ended(ended)
            dead = self.executor.dead() - self.dead
            if dead:
                self.dead |= dead
                self._forget_machines(dead)
        for node in self.nodes.values():
            self.tallies[node.stage.room].saved += node.seconds * (node.asked - node.runs)

    # Keys

    def _join(self, stage: Stage) -> None:
        """Key a stage, of whose needs all digests are known, and let it join its node."""
        inputs = [self._node(need) for need in stage.inputs]
        name = key(stage, [node.digests or {} for node in inputs])
        tally = self.tallies[stage.room]
        node = self.nodes.get(name)
        if node is None:
            node = self.nodes[name] = Node(name, stage, inputs)
            if not self._carried(node):
                tally.distinct += 1
                self._recall(node)
        asked = self.layout.asked[stage.number]
        node.asked += asked
        self.node_of[stage.number] = node
        node.claims += sum(not self.over[consumer] for consumer in self.consumers[stage.number])
        self._keyed(stage.room)
        if node.failure is not None:
            self._fail(stage, node.failure)
        elif node.digests is not None:
            self._settle(stage)
        else:
            node.waiting = node.waiting or []
            node.waiting.append(stage)
            self._want(node)

    def _carried(self, node: Node) -> bool:
        """Whether a new node was distinct already in an earlier layout; what is known of it is taken over."""
        found = self.carried.get(node.name)
        if found is not None:
            digests, node.fields, node.seconds, node.failure = found
            node.digests = digests or None
            node.chain = node.seconds + max((each.chain for each in node.inputs), default=0.0)
            node.kept = self.kept is not None and node.name in self.kept.names
        return found is not None

    def _recall(self, node: Node) -> None:
        """Look whether a new node's digests are known without computing it."""
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
                node.chain = node.seconds + max((each.chain for each in node.inputs), default=0.0)
                node.kept = True
                self.tallies[room].reused += 1
                return
        if ROOMS[room].lazy:  # made when somebody reads it
            node.digests = known_digests(room, node.name)

    def _node(self, stage: Stage) -> Node:
        node = self.node_of[stage.number]
        assert node is not None
        return node

    def _settle(self, stage: Stage) -> None:
        """A stage's digests are known: go on with those that it was the last to wait for."""
        number = stage.number
        if self.over[number]:
            return
        self.over[number] = True
        for need in stage.inputs:
            self._unclaim(self._node(need))
        if ROOMS[stage.room].gives_rows:
            self._result(number)
        for consumer in self.consumers[number]:
            self.missing[consumer] -= 1
            if self.missing[consumer] == 0 and not self.over[consumer]:  # over: nobody waits for it any more
                self._join(self.layout.stages[consumer])

    def _result(self, number: int) -> None:
        node = self.node_of[number]
        assert node is not None
        points = self.results.get(number)
        if points:
            self.open -= 1
            self.finished(None, [(points, node.name)])

    def _keyed(self, room: str) -> None:
        """One stage of a room less can ask for what the room has computed."""
        self.unkeyed[room] -= 1
        if self.unkeyed[room] == 0:
            for node in list(self.idle[room].values()):
                self._let_go(node)

    def _fail(self, stage: Stage, failure: Failure) -> None:
        """A stage can't be had: nor can what needs it, and what only that needed isn't wanted any more."""
        number = stage.number
        if self.over[number]:
            return
        self._give_up(stage)
        if number in self.results:
            self.open -= 1
            for point in self.results[number]:
                self.failed(point, failure)
        for consumer in self.consumers[number]:
            self._fail(self.layout.stages[consumer], failure)

    def _give_up(self, stage: Stage) -> None:
        """A stage won't be had, or isn't wanted any more: give back what it may have read."""
        self.over[stage.number] = True
        if self.node_of[stage.number] is None:
            self._keyed(stage.room)
        for need in stage.inputs:
            number = need.number
            producer = self.node_of[number]
            if producer is not None:
                self._unclaim(producer)
            self.live[number] -= 1
            if self.live[number] == 0 and not self.over[number] and producer is None:
                self._give_up(need)

    # Fields

    def _want(self, node: Node) -> None:
        """Have a node computed, after what it reads."""
        if node.state == "blocked":  # what it waits for may have been given up while nobody wanted it
            self._block(node)
            return
        if node.state != "idle" or node.failure is not None:
            return
        if node.kept and self._load(node):
            return
        node.state, node.missing = "blocked", 0
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
            self.queue.push(node)

    def _load(self, node: Node) -> bool:
        """Take all of a node's fields from the disk."""
        assert self.kept is not None
        small, large = self.kept.read(node.name), self.kept.read_large(node.name) or {}
        fields = {**small.fields, **large} if small is not None else large
        if set(fields) != set(ROOMS[node.stage.room].gives):
            node.kept = False
            return False
        self._hold(node, *self.executor.put(fields))
        return True

    def _hold(self, node: Node, fields: dict[str, Any], size: int, place: str) -> None:
        """Have a node's fields at hand."""
        self.held_bytes += size - node.bytes
        self.most_bytes = max(self.most_bytes, self.held_bytes)
        node.fields, node.bytes, node.place = fields, size, place

    def _unclaim(self, node: Node) -> None:
        """One who may read a node's fields less."""
        node.claims -= 1
        if node.claims <= 0:
            if self.unkeyed[node.stage.room] == 0:
                self._let_go(node)
            elif node.fields:
                self._set_aside(node)

    def _set_aside(self, node: Node) -> None:
        """Hold what nobody reads for now, since another stage may turn out to be the same."""
        idle = self.idle[node.stage.room]
        idle[node.name] = node
        idle.move_to_end(node.name)
        if len(idle) > IDLE_STAGES:
            self._let_go(next(iter(idle.values())))

    def _let_go(self, node: Node) -> None:
        self.idle[node.stage.room].pop(node.name, None)
        if node.state == "idle" and node.claims <= 0:
            self.held_bytes -= node.bytes
            node.fields, node.bytes = NOTHING, 0
            if node.digests and self.unkeyed[node.stage.room] == 0:
                node.digests = NOTHING  # nobody can ask for them any more

    def _make_room(self) -> bool:
        """Let go of what may not be asked for again, the cheapest rooms' oldest first; whether the rest is within bounds."""
        for idle in reversed(self.idle.values()):
            while self.held_bytes > self.memory and idle:
                self._let_go(next(iter(idle.values())))
        return self.held_bytes <= self.memory

    def _forget_machines(self, dead: set[str]) -> None:
        """What machines that died held is not at hand any more."""
        for node in self.nodes.values():
            if node.bytes and node.place in dead:
                self._lose_fields(node)

    def _lose_fields(self, node: Node) -> None:
        self.held_bytes -= node.bytes
        node.fields = {name: value for name, value in node.fields.items() if not isinstance(value, Remote)}
        node.bytes = 0

    # Batches

    def _wanted(self, node: Node) -> bool:
        """Whether anybody still waits for a node."""
        return any(not self.over[stage.number] and self.live[stage.number] > 0 for stage in node.waiting or ()) or any(
            map(self._wanted, node.blocked or ())
        )

    def _fill(self) -> None:
        """Give every free worker a batch."""
        while True:
            places = self.executor.free()
            if not places:
                return
            if self.again:
                batch = [node for node in self.again.pop() if self._still_wanted(node)]
            else:
                batch = self._next_batch(places)
                if not batch:
                    return
            batch = [node for node in batch if self._can_start(node)]
            if batch:
                self._submit(batch)

    def _still_wanted(self, node: Node) -> bool:
        """Whether anybody still waits for a node that is about to run; if not, it goes back to rest."""
        if self._wanted(node):
            return True
        node.state = "idle"
        for each in node.inputs:
            self._unclaim(each)
        return False

    def _can_start(self, node: Node) -> bool:
        """Whether all that a node reads is still there; if not, it waits for that again."""
        if all(each.has(fields) for fields, each in zip(node.stage.reads, node.inputs, strict=True)):
            return True
        self._block(node)
        return False

    def _next_batch(self, places: list[str]) -> list[Node]:
        producers = self._make_room() or not self.running
        return self.queue.take(places, self.executor.workers, producers, self.executor.spread)

    def _submit(self, batch: list[Node]) -> None:
        jobs = []
        for node in batch:
            node.state = "running"
            inputs = [
                {name: each.fields[name] for name in fields} for fields, each in zip(node.stage.reads, node.inputs, strict=True)
            ]
            limit = None
            if self.limit is not None:
                limit = max(self.limit - max((each.chain for each in node.inputs), default=0.0), 0.0)
            jobs.append(Job(node.name, node.stage.room, node.stage.config.value, inputs, limit))
        number = next(self.batches)
        self.running[number] = batch
        self.executor.submit(number, jobs, self.queue.started(batch), home(batch[0]) if self.executor.spread else "")

    # Outcomes

    def _ended(self, ended: Ended) -> None:
        batch = self.running.pop(ended.number)
        self.queue.ended(batch, [] if ended.lost else ended.outcomes)
        if ended.lost:
            self._lost(batch, ended)
        else:
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
            if ROOMS[stage.room].gives_rows and not self.over[stage.number]:
                self.over[stage.number] = True
                for need in stage.inputs:
                    self._unclaim(self._node(need))
                points = self.results.get(stage.number)
                if points:
                    self.open -= 1
                    pairs.append((points, self._node(stage).name))
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
        node.chain = outcome.seconds + max((each.chain for each in node.inputs), default=0.0)

    def _done(self, node: Node, outcome: Outcome) -> list[Stage]:
        """Take a node's fields; returns the stages that waited for its digests."""
        node.state = "idle"
        if node.digests and node.digests != outcome.digests:
            self._fail_node(node, Failure("error", f"{node.stage.room} gave another outcome when it was computed again"))
            return []
        node.digests = outcome.digests
        if node.claims > 0 or self.unkeyed[node.stage.room]:
            self._hold(node, outcome.fields, outcome.bytes, outcome.place)
            if node.claims <= 0:
                self._set_aside(node)
        if not ROOMS[node.stage.room].light:
            self.carried.remember(node, outcome.fields)
        self._keep(node, outcome)
        for each in node.inputs:
            self._unclaim(each)
        blocked, node.blocked = node.blocked or [], None
        for each in blocked:
            each.missing -= 1
            if each.missing == 0 and each.state == "blocked":
                self._block(each)
        waiting, node.waiting = node.waiting or [], None
        return waiting

    def _keep(self, node: Node, outcome: Outcome) -> None:
        """Keep a stage on disk for later sweeps, if that is worth while."""
        known = ROOMS[node.stage.room].known_by_key
        if self.kept is None or known or not self.kept.worth_keeping(outcome.seconds, outcome.bytes):
            return
        large = {name: value for name, value in outcome.fields.items() if name not in BY_VALUE}
        small = {name: value for name, value in outcome.fields.items() if name not in large}
        fetched = self.executor.fetch(large)
        if fetched is not None:
            self.kept.write(node.name, KeptStage(outcome.digests, small, outcome.seconds), fetched)
            node.kept = True

    def _fail_node(self, node: Node, failure: Failure) -> None:
        node.state, node.failure = "idle", failure
        self.tallies[node.stage.room].failed += 1
        self.carried.remember(node, {})
        for each in node.inputs:
            self._unclaim(each)
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
            self._lose_fields(each)
        if node.losses > MOST_LOSSES:
            self._fail_node(node, Failure("crashed", f"what {node.stage.room} reads was lost {node.losses} times"))
        else:
            self._block(node)

    def _lost(self, batch: list[Node], ended: Ended) -> None:
        """A worker died: its batch is tried once more as it is, then in halves, down to the stage at fault."""
        if ended.machine_died:
            self.again.append(batch)
            return
        for node in batch:
            node.strikes = (*node.strikes, (ended.lost, len(batch) == 1))
        dead = self.executor.dead()
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
            error = f"the worker died each time in {batch[0].stage.room}: {ended.reason}"
            self._fail_node(batch[0], Failure("crashed", error))
