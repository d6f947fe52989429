"""What runs in each of Ray's workers: a process that computes one batch after the other."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Sequence
from typing import Any

from memvirt.pipeline.rooms import BY_VALUE
from memvirt.sweep.executor import Compiling, Job, Outcome, Remote, packed, run_jobs, size
from memvirt.sweep.store.block import Block

TICK = 0.02  #: seconds between looks at a job that has a limit


def versions() -> dict[str, str]:
    """What must be the same on every machine of a sweep, for the same numbers."""
    import numba
    import numpy as np

    import memvirt
    from memvirt.sweep.store.provenance import all_code

    return {
        "python": ".".join(platform.python_version_tuple()[:2]),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "memvirt": memvirt.__version__,
        "memvirt's sources": all_code()[:12],
    }


class Worker:
    """One core's worth of a sweep."""

    def __init__(self) -> None:
        import ray

        self.ray = ray
        self.place = ray.get_runtime_context().get_node_id()
        self.compiling = Compiling()

    def hello(self) -> tuple[str, int, dict[str, str]]:
        """Machine, process, versions."""
        return self.place, os.getpid(), versions()

    def run(self, jobs: Sequence[Job]) -> tuple[tuple[list[Outcome], Block | None], dict[int, dict[str, Any]]]:
        """Compute a batch: what became of each job, and the large fields by the job's place in it."""
        outcomes = self._within_limits(jobs) if any(job.limit is not None for job in jobs) else self._all(jobs)
        outcomes, block = packed(jobs, outcomes)
        large: dict[int, dict[str, Any]] = {}
        for number, outcome in enumerate(outcomes):
            kept = {name: value for name, value in outcome.fields.items() if name not in BY_VALUE}
            if kept:
                large[number] = kept
                sizes = {name: size(value) for name, value in kept.items()}
                handles = {name: Remote(number, name, sizes[name], self.place) for name in kept}
                total = sum(sizes.values())
                outcomes[number] = outcome._replace(fields={**outcome.fields, **handles}, bytes=total, place=self.place)
        return (outcomes, block), large

    def _fetcher(self) -> Any:
        fetched: dict[Any, Any] = {}

        def fetch(handle: Any) -> Any:
            if not isinstance(handle, Remote):
                return handle
            reference, number = handle.reference
            if reference not in fetched:
                fetched[reference] = self.ray.get(reference)
            return fetched[reference][number][handle.field]

        def inputs(job: Job) -> list[dict[str, Any]] | None:
            try:
                return [{name: fetch(handle) for name, handle in each.items()} for each in job.inputs]
            except self.ray.exceptions.RayError:  # the machine that had it is gone
                return None

        return inputs

    def _all(self, jobs: Sequence[Job]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        run_jobs(jobs, self._fetcher(), outcomes.append, self.compiling)
        return outcomes

    def _within_limits(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Compute in a second thread, and give up on a job that takes too long; this process is of no use afterwards."""
        outcomes: list[Outcome] = []
        thread = threading.Thread(target=run_jobs, args=(jobs, self._fetcher(), outcomes.append, self.compiling), daemon=True)
        thread.start()
        done, begin, compiled = 0, time.perf_counter(), self.compiling.seconds()
        while thread.is_alive() and done < len(jobs):
            thread.join(TICK)
            if len(outcomes) > done:
                done, begin, compiled = len(outcomes), time.perf_counter(), self.compiling.seconds()
                continue
            seconds = time.perf_counter() - begin - (self.compiling.seconds() - compiled)
            limit = jobs[done].limit
            if limit is not None and seconds > limit:
                given_up = Outcome("timeout", seconds=seconds, compiling=self.compiling.seconds() - compiled)
                return [*outcomes[:done], given_up, *(Outcome("skipped") for _ in jobs[done + 1 :])]
        thread.join()
        return outcomes
