"""Where stages are computed: in this process, or by Ray's workers on this machine.

An executor keeps what stages hand on and gives out *handles* of it, one a field, so that a stage is sent only the
fields that it reads.
"""

from __future__ import annotations

import logging
import os
import re
import time
import traceback
from collections.abc import Hashable
from typing import Any, NamedTuple, Protocol

from numba.core import event

from memvirt.compute import FIELDS, compute
from memvirt.errors import ConfigError, MemvirtError
from memvirt.stages import Stage

Handle = Any


class Outcome(NamedTuple):
    """What became of a stage.

    Attributes
    ----------
    fields : dict of str
        Handle of each field.
    digests : dict of str
    seconds, compiling : float
        CPU time that it took, and besides that the time in which kernels were compiled.
    status : {'ok', 'error', 'crashed'}
    error : str
        Why it failed, in one line.
    details : str
        The traceback of an error that wasn't foreseen.
    """

    fields: dict[str, Handle] = {}  # noqa: RUF012 - never written to
    digests: dict[str, str] = {}  # noqa: RUF012
    seconds: float = 0.0
    compiling: float = 0.0
    status: str = "ok"
    error: str = ""
    details: str = ""


def attempt(stage: Stage, inputs: list[dict[str, Any]]) -> Outcome:
    """Run a stage in this process; its failure is an outcome too."""
    compiling = [0.0]

    def compiled(seconds: float) -> None:
        compiling[0] += seconds

    begin = time.process_time()
    with event.install_timer("numba:compile", compiled):
        outcome = _attempt(stage, inputs)
    seconds = time.process_time() - begin
    return outcome._replace(seconds=max(seconds - compiling[0], 0.0), compiling=compiling[0])


def _attempt(stage: Stage, inputs: list[dict[str, Any]]) -> Outcome:
    try:
        fields, digests = compute(stage, inputs)
    except MemvirtError as wrong:
        return Outcome(status="error", error=str(wrong))
    except MemoryError:
        return Outcome(status="error", error=f"out of memory in {stage.room}")
    except Exception as wrong:
        text = " ".join(re.sub(r"\x1b\[\d+m", "", str(wrong)).split())
        line = f"{stage.room} failed, which is a defect of memvirt or of a plug-in: {type(wrong).__name__}: {text:.200}"
        return Outcome(status="error", error=line, details=traceback.format_exc())
    return Outcome(fields, digests)


class Executor(Protocol):
    """Computes stages, several at a time."""

    workers: int

    def submit(self, name: Hashable, stage: Stage, inputs: list[dict[str, Handle]]) -> None:
        """Begin a stage; ``inputs`` are handles."""

    def wait(self, timeout: float) -> list[tuple[Hashable, Outcome]]:
        """Outcomes of stages that have ended since, after at most so many seconds."""

    def fetch(self, handle: Handle) -> Any:
        """The field behind a handle."""

    def close(self) -> None:
        """Stop what is running."""


class Serial:
    """One stage after the other, in this process."""

    def __init__(self) -> None:
        self.workers = 1
        self._next: list[tuple[Hashable, Stage, list[dict[str, Handle]]]] = []

    def submit(self, name: Hashable, stage: Stage, inputs: list[dict[str, Handle]]) -> None:
        """Keep it until it is waited for."""
        self._next.append((name, stage, inputs))

    def wait(self, timeout: float) -> list[tuple[Hashable, Outcome]]:
        """Compute one."""
        name, stage, inputs = self._next.pop(0)
        return [(name, attempt(stage, inputs))]

    def fetch(self, handle: Handle) -> Any:
        """A handle is the field itself."""
        return handle

    def close(self) -> None:
        """Nothing is left running."""


def _in_worker(stage: Stage, names: list[list[str]], *fields: Any) -> tuple[Any, ...]:
    """Run a stage in a Ray worker: its outcome without fields, then each field."""
    rest = iter(fields)
    inputs = [{name: next(rest) for name in each} for each in names]
    outcome = attempt(stage, inputs)
    return outcome._replace(fields={}), *(outcome.fields.get(name) for name in FIELDS[stage.room])


class Ray:
    """Ray's workers on this machine, listening on loopback only, telemetry off.

    Parameters
    ----------
    workers : int, optional
        One a core if not given.
    """

    def __init__(self, workers: int | None) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        # Listen on 127.0.0.1 only, which Ray otherwise does on Windows and macOS alone; both are read at import.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        self.ray = ray
        self.workers = workers or os.cpu_count() or 1
        ray.init(
            address="local",
            num_cpus=self.workers,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        self._remote = ray.remote(_in_worker)
        self._running: dict[Any, tuple[Hashable, Stage, list[Any], int]] = {}

    def submit(self, name: Hashable, stage: Stage, inputs: list[dict[str, Handle]]) -> None:
        """Hand it to a worker."""
        self._start(name, stage, inputs, 0)

    def _start(self, name: Hashable, stage: Stage, inputs: list[Any], crashes: int) -> None:
        options = self._remote.options(num_returns=1 + len(FIELDS[stage.room]), num_cpus=1, max_retries=0)
        flat = [handle for each in inputs for handle in each.values()]
        meta, *fields = options.remote(stage, [list(each) for each in inputs], *flat)
        self._running[meta] = (name, stage, [inputs, fields], crashes)

    def wait(self, timeout: float) -> list[tuple[Hashable, Outcome]]:
        """Outcomes of what has ended; a stage whose worker died is tried once more."""
        done, _ = self.ray.wait(list(self._running), num_returns=1, timeout=timeout)
        outcomes = []
        for meta in done:
            name, stage, (inputs, fields), crashes = self._running.pop(meta)
            try:
                outcome = self.ray.get(meta)
            except self.ray.exceptions.RayError as wrong:
                if crashes == 0:
                    self._start(name, stage, inputs, 1)
                    continue
                reason = str(wrong).strip().splitlines()[0] if str(wrong).strip() else type(wrong).__name__
                outcomes.append((name, Outcome(status="crashed", error=f"the worker died twice in {stage.room}: {reason}")))
                continue
            outcomes.append((name, outcome._replace(fields=dict(zip(FIELDS[stage.room], fields, strict=True)))))
        return outcomes

    def fetch(self, handle: Handle) -> Any:
        """Get it from Ray's object store; what the driver computed itself is there already."""
        return self.ray.get(handle) if isinstance(handle, self.ray.ObjectRef) else handle

    def close(self) -> None:
        """Stop the workers that this process started, and no others."""
        self._running.clear()
        self.ray.shutdown()


def make_executor(config: dict[str, Any]) -> Executor:
    """The executor that a config names."""
    if config["name"] == "serial":
        return Serial()
    if config["name"] == "ray":
        return Ray(config.get("workers"))
    raise ConfigError("executor", config["name"], "there is no such executor", ["ray", "serial"])
