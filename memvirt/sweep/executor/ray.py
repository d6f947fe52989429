"""Ray's workers: on this machine, listening on loopback only; or on a cluster that runs already.

Each worker is an actor that holds one core, so that the driver knows what runs where, and can stop one worker without the others.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any

from memvirt.errors import ConfigError, MemvirtError
from memvirt.pipeline.rooms import BY_VALUE, ROOMS
from memvirt.sweep.executor import Compiling, Ended, Job, Remote, attempt, size
from memvirt.sweep.executor.worker import Worker, versions

QUEUE = 0.25  #: a worker whose batch should take less than so many seconds is given the next one already
REACH = 5.0  #: seconds in which a cluster's head must answer
LOOK = 2.0  #: seconds between looks at how large the cluster is
ONE_A_PROCESS = threading.Lock()  #: held while this process uses Ray


def of_ray() -> dict[str, str]:
    """Environment variables that Ray sets for itself, or we for it."""
    return {name: value for name, value in os.environ.items() if name.startswith("RAY_") or name == "PYTHONBREAKPOINT"}


def restore(before: dict[str, str]) -> None:
    """Set Ray's environment variables back."""
    for name in of_ray().keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


class Slot:
    """A worker as the driver sees it."""

    def __init__(self, actor: Any, hello: Any) -> None:
        self.actor, self.hello = actor, hello
        self.place = ""
        self.batches: dict[Any, tuple[int, float, Any]] = {}  # by what is waited for: number, estimate, large fields

    def free(self) -> bool:
        """Whether it could take a batch."""
        return self.hello is None and (
            not self.batches or (len(self.batches) == 1 and next(iter(self.batches.values()))[1] < QUEUE)
        )


class Ray:
    """Ray's workers; telemetry off.

    Parameters
    ----------
    workers : int, optional
        One a core of the machine or the cluster if not given.
    address : str, optional
        A running cluster to join: ``auto`` or HOST:PORT.
    """

    def __init__(self, workers: int | None, address: str | None) -> None:
        ONE_A_PROCESS.acquire()
        self._restore = contextlib.ExitStack()
        self._restore.callback(ONE_A_PROCESS.release)
        try:
            self._begin(workers, address)
        except BaseException:
            self._restore.close()
            raise

    def _begin(self, workers: int | None, address: str | None) -> None:
        self._restore.callback(restore, of_ray())
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        if address is None:
            # Listen on 127.0.0.1 only, which Ray otherwise does on Windows and macOS alone; read at import.
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        log = logging.getLogger("ray")
        self._restore.callback(log.setLevel, log.level)
        log.setLevel(logging.ERROR)
        import ray

        self.ray: Any = ray  # its own types say less than its documentation
        if ray.is_initialized():
            raise ConfigError("executor", "ray", "this process uses Ray already: ray.shutdown() first, or executor=serial")
        self.spread = address is not None
        self._wanted = workers
        self._start(address, workers or os.cpu_count() or 1)
        self._actor = self.ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(Worker)
        self._slots: list[Slot] = []
        self._ended: list[Ended] = []
        self._alive: set[str] = set()
        self._died: set[str] = set()
        self._failed = 0
        self._looked = 0.0
        self._versions = versions()
        self._compiling = Compiling()
        self._look()

    def _start(self, address: str | None, workers: int) -> None:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address is None:
            self.ray.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)
            return
        check_reachable(address)
        try:
            self.ray.init(address=address, **quiet)
        except (ConnectionError, ValueError, RuntimeError, OSError, self.ray.exceptions.RayError) as wrong:
            text = " ".join(str(wrong).split())
            why = f"no Ray cluster can be joined there: {text:.200}; if it asks for a token, set RAY_AUTH_MODE=token"
            raise ConfigError("executor.address", address, why) from None

    def _look(self) -> None:
        """Notice machines that came or went, and have as many workers as there are cores."""
        self._looked = time.monotonic()
        alive = {node["NodeID"] for node in self.ray.nodes() if node["Alive"]}
        self._died |= self._alive - alive
        self._alive = alive
        self.workers = self._wanted or max(1, int(self.ray.cluster_resources().get("CPU", 1)))
        for _ in range(self.workers - len(self._slots)):
            actor = self._actor.options(scheduling_strategy="SPREAD").remote()
            self._slots.append(Slot(actor, actor.hello.remote()))

    def free(self) -> list[str]:
        """Machines with a worker that could begin a batch."""
        return [slot.place for slot in self._slots if slot.free()]

    def submit(self, number: int, jobs: Sequence[Job], estimate: float, place: str) -> None:
        """Hand a batch to a free worker, on the machine that holds its inputs if one is free there."""
        if self.spread and any(ROOMS[job.room].reads_file(job.config) for job in jobs):
            self._here(number, jobs)
            return
        slots = [slot for slot in self._slots if slot.free()]
        slot = min(slots, key=lambda slot: (slot.place != place, len(slot.batches)))
        meta, large = slot.actor.run.options(num_returns=2).remote(jobs)
        slot.batches[meta] = (number, estimate, large)

    def _here(self, number: int, jobs: Sequence[Job]) -> None:
        """Read trace files in this process, which alone is sure to have them; they travel through the object store."""
        outcomes = []
        for job in jobs:
            outcome = attempt(job, [], self._compiling)
            if outcome.status == "ok":
                handles, total, place = self.put(outcome.fields)
                outcome = outcome._replace(fields=handles, bytes=total, place=place)
            outcomes.append(outcome)
        self._ended.append(Ended(number, outcomes))

    def wait(self, timeout: float) -> list[Ended]:
        """Batches that have ended, well or not."""
        if time.monotonic() - self._looked > LOOK:
            self._look()
        waiting = {slot.hello: slot for slot in self._slots if slot.hello is not None}
        for slot in self._slots:
            waiting.update(dict.fromkeys(slot.batches, slot))
        if waiting and not self._ended:
            self.ray.wait(list(waiting), num_returns=1, timeout=timeout)
        if waiting:
            done, _ = self.ray.wait(list(waiting), num_returns=len(waiting), timeout=0)
            for each in done:
                slot = waiting[each]
                if slot not in self._slots:
                    continue  # died with another of its batches
                if each == slot.hello:
                    self._greet(slot)
                else:
                    self._take(slot, each)
        ended, self._ended = self._ended, []
        return ended

    def _greet(self, slot: Slot) -> None:
        """Meet a worker that has started.

        Raises
        ------
        MemvirtError
            If it would compute something else than this process, or none can be started.
        """
        try:
            slot.place, _, theirs = self.ray.get(slot.hello)
        except self.ray.exceptions.RayError as wrong:
            self._failed += 1
            self._lose(slot, wrong)
            if self._failed > 3 + 2 * self.workers:
                raise MemvirtError(f"executor: no worker of Ray's can be started: {reason(wrong)}") from None
            return
        self._failed = 0
        slot.hello = None
        for name, ours in self._versions.items():
            if theirs[name] != ours:
                node = next((n for n in self.ray.nodes() if n["NodeID"] == slot.place), {"NodeManagerAddress": slot.place})
                raise MemvirtError(
                    f"executor.address: {name} on {node['NodeManagerAddress']} is {theirs[name]}, here it is {ours}: "
                    "every machine of a sweep needs the same"
                )

    def _take(self, slot: Slot, meta: Any) -> None:
        """Take a batch's outcomes from a worker."""
        try:
            outcomes, block = self.ray.get(meta)
        except self.ray.exceptions.RayTaskError as wrong:  # the worker lives: the batch could not be sent or read there
            self._ended.append(Ended(slot.batches.pop(meta)[0], [], None, slot.place, False, reason(wrong)))
            return
        except self.ray.exceptions.RayError as wrong:
            self._lose(slot, wrong)
            return
        number, _, large = slot.batches.pop(meta)
        for place, outcome in enumerate(outcomes):
            if outcome.bytes:
                handles = {
                    name: value._replace(reference=(large, value.reference)) if isinstance(value, Remote) else value
                    for name, value in outcome.fields.items()
                }
                outcomes[place] = outcome._replace(fields=handles)
        self._ended.append(Ended(number, outcomes, block))
        if any(outcome.status == "timeout" for outcome in outcomes):  # it goes on with what took too long
            self._lose(slot, None)

    def _lose(self, slot: Slot, wrong: BaseException | None) -> None:
        """Do without a worker; another takes its place. The batch that it was at has a strike, those behind it have none."""
        self._slots.remove(slot)
        self.ray.kill(slot.actor)
        if wrong is not None:
            self._await_news(slot.place)
        machine_died = slot.place in self._died
        for place, (number, _, _) in enumerate(slot.batches.values()):
            innocent = machine_died or place > 0 or wrong is None
            self._ended.append(Ended(number, [], None, slot.place or "?", innocent, reason(wrong)))
        self._look()

    def _await_news(self, place: str) -> None:
        """A machine's workers die a little before it is known to be dead."""
        if not self.spread or not place:
            return
        for _ in range(10):
            self._look()
            if place in self._died:
                return
            time.sleep(0.1)

    def capacity(self) -> int:
        """Most of the object store: what doesn't fit, Ray writes to disk."""
        return int(0.6 * self.ray.cluster_resources().get("object_store_memory", 1 << 30))

    def put(self, fields: dict[str, Any]) -> tuple[dict[str, Any], int, str]:
        """Put the large fields into the object store."""
        large = {name: value for name, value in fields.items() if name not in BY_VALUE}
        if not large:
            return fields, 0, ""
        sizes = {name: size(value) for name, value in large.items()}
        place = self.ray.get_runtime_context().get_node_id()
        reference = (self.ray.put({0: large}), 0)
        remote = {name: Remote(reference, name, sizes[name], place) for name in large}
        return {**fields, **remote}, sum(sizes.values()), place

    def fetch(self, handles: dict[str, Any]) -> dict[str, Any] | None:
        """Get the fields behind handles of one stage."""
        if not handles:
            return {}
        reference, number = next(iter(handles.values())).reference
        try:
            return {name: self.ray.get(reference)[number][name] for name in handles}
        except self.ray.exceptions.RayError:
            return None

    def dead(self) -> set[str]:
        """Machines that have died."""
        return set(self._died)

    def close(self) -> None:
        """Stop the workers that this process started, and no others."""
        self._slots.clear()
        try:
            self.ray.shutdown()
        finally:
            self._restore.close()


def check_reachable(address: str) -> None:
    """Refuse an address at which nobody listens, for which Ray would wait minutes.

    Raises
    ------
    ConfigError
    """
    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    try:
        socket.create_connection((host, int(port)), timeout=REACH).close()
    except (OSError, ValueError, OverflowError) as wrong:
        raise ConfigError("executor.address", address, f"no Ray cluster can be joined there: {wrong}") from None


def reason(wrong: BaseException | None) -> str:
    """Say why a worker died, in one line."""
    lines = [line.strip() for line in str(wrong or "").splitlines() if line.strip()]
    told = next((line for line in lines if "exit" in line.lower() or "memory" in line.lower()), "")
    return told or (lines[0] if lines else type(wrong).__name__)
