"""Where stages are computed: in this process, or by Ray's workers on this machine or a cluster.

The engine hands out *batches* of jobs and is told how each batch ended. What a stage hands on comes back as
*handles*: counts as they are, what may be large as a `Remote` that stays where it was made.
"""

from __future__ import annotations

import pickle
import re
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numba.core import event
from numpy.typing import NDArray

from memvirt.errors import ConfigError, MemvirtError
from memvirt.pipeline.compute import compute
from memvirt.pipeline.needs import check_fits
from memvirt.pipeline.rooms import ROOMS
from memvirt.sweep.store.block import Block, pack

Handle = Any


class Remote(NamedTuple):
    """A field that stays where it is.

    Attributes
    ----------
    reference : object
        The executor's name for the stage's large fields.
    field : str
    bytes : int
    place : str
        The machine that has it.
    """

    reference: Any
    field: str
    bytes: int
    place: str


class Job(NamedTuple):
    """A stage to be computed.

    Attributes
    ----------
    name : str
        Its key.
    room : str
    config : JSON-able
    inputs : list of dict
        Of each need, handles by field.
    limit : float, optional
        Seconds that it may take, compilation not counted.
    """

    name: str
    room: str
    config: Any
    inputs: list[dict[str, Handle]]
    limit: float | None = None


class Outcome(NamedTuple):
    """What became of a stage.

    Attributes
    ----------
    status : str
        ``ok``, ``error``, ``timeout``; ``lost`` if its inputs were not there any more, ``skipped`` if it wasn't begun.
    fields : dict of str
        Handle of each field; none of a result, whose rows are in the batch's block.
    digests : dict of str
    bytes : int
        Of its large fields.
    place : str
        Where those are.
    seconds, compiling : float
        CPU time that it took, and besides that the time in which kernels were compiled.
    error : str
        Why it failed, in one line.
    details : str
        The traceback of an error that wasn't foreseen.
    """

    status: str = "ok"
    fields: dict[str, Handle] = {}  # noqa: RUF012 - never written to
    digests: dict[str, str] = {}  # noqa: RUF012
    bytes: int = 0
    place: str = ""
    seconds: float = 0.0
    compiling: float = 0.0
    error: str = ""
    details: str = ""


class Ended(NamedTuple):
    """How a batch ended.

    Attributes
    ----------
    number : int
        As it was submitted.
    outcomes : list of Outcome
        One a job; none if it was lost.
    block : Block, optional
        Rows of the results among them.
    lost : str
        The machine on which its worker died, if one did.
    machine_died : bool
    reason : str
    """

    number: int
    outcomes: list[Outcome]
    block: Block | None = None
    lost: str = ""
    machine_died: bool = False
    reason: str = ""


class Executor(Protocol):
    """Computes batches of jobs, several at a time.

    Attributes
    ----------
    workers : int
        How many there are, or should be.
    spread : bool
        Whether they may be on several machines.
    """

    workers: int
    spread: bool

    def free(self) -> list[str]:
        """Machines that could begin a batch now, one mention a worker."""

    def submit(self, number: int, jobs: Sequence[Job], estimate: float, place: str) -> None:
        """Begin a batch that should take ``estimate`` seconds, at ``place`` if that is free."""

    def wait(self, timeout: float) -> list[Ended]:
        """Batches that have ended since, after at most so many seconds."""

    def capacity(self) -> int:
        """Bytes of large fields that may well be held at a time."""

    def put(self, fields: dict[str, Any]) -> tuple[dict[str, Handle], int, str]:
        """Make handles of fields that this process has: handles, bytes of the large ones, where those are."""

    def fetch(self, handles: dict[str, Handle]) -> dict[str, Any] | None:
        """The fields behind handles of one stage; None if they are lost."""

    def dead(self) -> set[str]:
        """Machines that have died."""

    def close(self) -> None:
        """Stop what is running."""


class Compiling(event.Listener):
    """Measures how long numba has compiled, up to now: by the clock, and in CPU time of this process."""

    def __init__(self) -> None:
        self.done, self.depth, self.begin = np.zeros(2), 0, np.zeros(2)

    @staticmethod
    def _now() -> NDArray[np.float64]:
        return np.array([time.perf_counter(), time.process_time()])

    def on_start(self, _: Any) -> None:
        """Begin, or go one deeper."""
        if self.depth == 0:
            self.begin = self._now()
        self.depth += 1

    def on_end(self, _: Any) -> None:
        """End, if it is the outermost."""
        self.depth -= 1
        if self.depth == 0:
            self.done += self._now() - self.begin

    def _so_far(self) -> NDArray[np.float64]:
        return self.done + (self._now() - self.begin if self.depth else 0.0)

    def seconds(self) -> float:
        """Seconds by the clock so far, those of a compilation that goes on included."""
        return float(self._so_far()[0])

    def cpu_seconds(self) -> float:
        """The same in CPU seconds."""
        return float(self._so_far()[1])


def attempt(job: Job, inputs: list[dict[str, Any]], compiling: Compiling) -> Outcome:
    """Run a job in this thread; its failure is an outcome too."""
    before, of_them = compiling.seconds(), compiling.cpu_seconds()
    begin = time.process_time()
    outcome = _attempt(job, inputs)
    seconds = time.process_time() - begin - (compiling.cpu_seconds() - of_them)
    return outcome._replace(seconds=max(seconds, 0.0), compiling=compiling.seconds() - before)


def _attempt(job: Job, inputs: list[dict[str, Any]]) -> Outcome:
    try:
        if job.room == "memory":
            check_fits(job.config, [int(each["trace"].pages.vpn.size) for each in inputs])
        fields, digests = compute(job.room, job.config, inputs, job.name)
    except MemvirtError as wrong:
        return Outcome("error", error=str(wrong))
    except MemoryError:
        return Outcome("error", error=f"out of memory in {job.room}")
    except Exception as wrong:
        text = " ".join(re.sub(r"\x1b\[\d+m", "", str(wrong)).split())
        line = f"{job.room} failed, which is a defect of memvirt or of a plug-in: {type(wrong).__name__}: {text:.200}"
        return Outcome("error", error=line, details=traceback.format_exc())
    return Outcome("ok", fields, digests)


def run_jobs(
    jobs: Sequence[Job], inputs: Callable[[Job], list[dict[str, Any]] | None], tell: Callable[[Outcome], None], compiling: Compiling
) -> None:
    """Run jobs one after the other and tell each outcome; ``inputs`` gets what a job reads, None if it is lost."""
    with event.install_listener("numba:compile", compiling):
        for job in jobs:
            found = inputs(job)
            tell(Outcome("lost") if found is None else attempt(job, found, compiling))


def packed(jobs: Sequence[Job], outcomes: list[Outcome]) -> tuple[list[Outcome], Block | None]:
    """Move the rows of the results among some outcomes into a block."""
    rows = [
        (job.name, outcome.fields["results"], outcome.fields["epochs"])
        for job, outcome in zip(jobs, outcomes, strict=True)
        if ROOMS[job.room].gives_rows and outcome.status == "ok"
    ]
    if not rows:
        return outcomes, None
    return [o._replace(fields={}) if ROOMS[job.room].gives_rows else o for job, o in zip(jobs, outcomes, strict=True)], pack(rows)


def size(value: Any) -> int:
    """Bytes that a value takes when it is sent."""
    buffers: list[pickle.PickleBuffer] = []
    text = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return len(text) + sum(buffer.raw().nbytes for buffer in buffers)


def make_executor(config: dict[str, Any]) -> Executor:
    """The executor that a config names."""
    from memvirt.sweep.executor.local import Serial

    if config["name"] == "serial":
        return Serial()
    if config["name"] == "ray":
        from memvirt.sweep.executor.ray import Ray

        return Ray(config.get("workers"), config.get("address"))
    raise ConfigError("executor", config["name"], "there is no such executor", ["ray", "serial"])
