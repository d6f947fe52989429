"""Plans put to work: each point looked up, laid out if it is missing, computed, and kept as soon as it is known."""

from __future__ import annotations

import gc
import importlib
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from memvirt.errors import MemvirtError
from memvirt.sweep.engine.engine import Engine
from memvirt.sweep.engine.node import Carried, Failure, Tally
from memvirt.sweep.estimate import accesses
from memvirt.sweep.executor import Executor, make_executor
from memvirt.sweep.interrupt import Interrupt
from memvirt.sweep.plan.todo import Todo, Wanted, Window
from memvirt.sweep.report import Voice, Watch
from memvirt.sweep.settings import Settings
from memvirt.sweep.store.block import Block, failure
from memvirt.sweep.store.kept import Kept
from memvirt.sweep.store.store import Store


class TooManyFailures(MemvirtError):
    """More points failed than ``max_failures`` allows."""


class Work:
    """Computes plans into one folder.

    Parameters
    ----------
    settings : Settings
    voice : Voice

    Attributes
    ----------
    tallies : dict of Tally
        Of all that was computed, by room.
    most_bytes, chain : int, float
        Bytes of large fields held at a time, and CPU seconds of the longest chain of stages.
    lengths : dict of (float, int)
        CPU seconds and accesses of what was computed, by room.
    wanted : list of Wanted
        Points of all plans so far.
    last_words : function
        What to say where a kill can't wait.
    """

    def __init__(self, settings: Settings, voice: Voice) -> None:
        self.settings, self.voice = settings, voice
        self.tallies: dict[str, Tally] = {}
        self.lengths: dict[str, tuple[float, int]] = {}
        self.wanted: list[Wanted] = []
        self.last_words: Callable[[], str] = lambda: ""
        self.most_bytes, self.chain = 0, 0.0
        self.carried = Carried()
        self._executor: Executor | None = None
        self._starting: Future[Executor] | None = None
        self._starter: threading.Thread | None = None
        self._over = threading.Event()
        self._closing: threading.Thread | None = None
        self.kept = Kept(Path(settings.output) / ".stages", settings.reuse_limit) if settings.reuse else None

    def start(self) -> None:
        """Begin to start the executor and to load what draws, while the plan is made."""
        if self._starting is None and self.settings.executor.name == "ray" and self.settings.executor.address is None:
            starting: Future[Executor] = Future()

            def start() -> None:
                try:
                    starting.set_result(make_executor(self.settings.executor.model_dump()))
                except BaseException as wrong:  # told where the executor is asked for
                    starting.set_exception(wrong)
                    return
                self._over.wait()  # what Ray starts dies with the thread that started it
                if self._executor is None:  # the sweep was refused meanwhile
                    starting.result().close()

            # requests asks for this itself, but imports in two threads at once can lose each other's filters
            warnings.filterwarnings("ignore", message="SOCKS support in urllib3")
            self._starting = starting
            self._starter = threading.Thread(target=start, name="starts-ray", daemon=True)
            self._starter.start()
            threading.Thread(target=importlib.import_module, args=("memvirt.drawing.style",), daemon=True).start()

    def executor(self) -> Executor:
        """The executor, when it has started.

        Raises
        ------
        MemvirtError
            If it can't be.
        """
        if self._executor is None:
            self.start()
            if self._starting is not None:
                self._executor = self._starting.result()
            else:
                self._executor = make_executor(self.settings.executor.model_dump())
        return self._executor

    def compute(self, store: Store, todo: Todo, kept: int, title: str = "points") -> None:
        """Compute a plan's missing points.

        Raises
        ------
        KeyboardInterrupt
            If it was stopped; what is done is kept.
        WriteError, TooManyFailures
            As their names say; what is done is kept.
        """
        self.wanted.append(todo.wanted)
        if not todo.missing:
            return
        executor = self.executor()  # which may be Ray, whose handler of SIGTERM must not be the last one
        watch = Watch(self.voice, len(todo.wanted.ids), kept, title)

        def last_words() -> str:
            watch.close()
            return self.last_words()

        with Interrupt(last_words) as interrupt:
            try:
                for place, window in enumerate(todo.windows()):
                    if place:
                        gc.collect()  # the last window's stages and nodes know each other
                    self._compute(store, window, executor, watch, interrupt)
            finally:
                watch.close()

    def _compute(self, store: Store, window: Window, executor: Executor, watch: Watch, interrupt: Interrupt) -> None:
        """Compute a window's points."""

        def finished(block: Block | None, pairs: list[tuple[list[int], str]]) -> None:
            points = [(window.points[place][0], name) for places, name in pairs for place in places]
            store.add(block, points)
            watch.more(len(points))

        def failed(place: int, why: Failure) -> None:
            point_id, vms = window.points[place]
            name = f"failed-{point_id}"
            store.add(failure(name, why.status, why.error, vms), [(point_id, name)])
            store.note(point_id, why.details)
            watch.more(1, failed=True)
            most = self.settings.max_failures
            if most is not None and watch.failed > most:
                raise TooManyFailures(f"max_failures={most}: {watch.failed} points failed, the last because {why.error}")

        def look(engine: Engine) -> None:
            interrupt.check()
            watch(engine)

        limit = self.settings.timeout
        engine = Engine(
            window.layout, window.results, executor, finished, failed, look, store.known, self.kept, self.carried,
            self.settings.executor.memory or executor.capacity(), limit / 1e9 if limit else None,
        )  # fmt: skip
        try:
            engine.run()
        finally:
            self._add(engine)

    def _add(self, engine: Engine) -> None:
        self.most_bytes = max(self.most_bytes, engine.holdings.most_bytes)
        self.chain = max([self.chain, *(node.chain for node in engine.nodes.values())])
        for room, tally in engine.tallies.items():
            self.tallies[room] = self.tallies[room].plus(tally) if room in self.tallies else tally
        known: dict[int, int] = {}
        for node in engine.nodes.values():
            if node.runs and node.failure is None:
                seconds, length = self.lengths.get(node.stage.room, (0.0, 0))
                self.lengths[node.stage.room] = (seconds + node.seconds, length + accesses(node.stage, known))

    def finish(self) -> None:
        """Begin to stop the executor: nothing more will be computed."""
        if self._executor is not None:
            self._closing = threading.Thread(target=self._executor.close, name="stops-executor")
            self._closing.start()

    def close(self) -> None:
        """Stop what runs, and throw away what was kept too long; an executor that nobody asked for stops once it runs."""
        if self._closing is not None:
            self._closing.join()
        elif self._executor is not None:
            self._executor.close()
        self._over.set()
        if self._starter is not None and self._executor is not None:  # else it is still starting what nobody asked for
            self._starter.join()
        if self.kept is not None:
            self.kept.prune()
