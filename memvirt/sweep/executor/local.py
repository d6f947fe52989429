"""Everything in this process."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from typing import Any

from memvirt.pipeline.rooms import ROOMS
from memvirt.sweep.executor import Compiling, Ended, Handle, Job, Outcome, packed, run_jobs, size


class Serial:
    """One batch after the other, in this process.

    A limit can't stop a stage here; one that took longer is told as such when it is over.
    """

    workers = 1
    spread = False

    def __init__(self) -> None:
        self._next: deque[tuple[int, Sequence[Job]]] = deque()
        self._compiling = Compiling()

    def free(self) -> list[str]:
        """Say that this process is, unless something waits already."""
        return [] if self._next else [""]

    def submit(self, number: int, jobs: Sequence[Job], estimate: float, place: str) -> None:
        """Keep it until it is waited for."""
        self._next.append((number, jobs))

    def wait(self, timeout: float) -> list[Ended]:
        """Compute one batch."""
        if not self._next:
            return []
        number, jobs = self._next.popleft()
        outcomes: list[Outcome] = []
        run_jobs(jobs, lambda job: job.inputs, outcomes.append, self._compiling)
        for place, (job, outcome) in enumerate(zip(jobs, outcomes, strict=True)):
            if not ROOMS[job.room].gives_rows and outcome.status == "ok":
                outcomes[place] = outcome = outcome._replace(bytes=size(outcome.fields))
            if job.limit is not None and outcome.seconds > job.limit:
                outcomes[place] = Outcome("timeout", seconds=outcome.seconds, compiling=outcome.compiling)
        outcomes, block = packed(jobs, outcomes)
        return [Ended(number, outcomes, block)]

    def capacity(self) -> int:
        """A quarter of the machine's memory."""
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4

    def put(self, fields: dict[str, Any]) -> tuple[dict[str, Handle], int, str]:
        """A handle is the field itself."""
        return fields, size(fields), ""

    def fetch(self, handles: dict[str, Handle]) -> dict[str, Any] | None:
        """A handle is the field itself."""
        return handles

    def dead(self) -> set[str]:
        """None."""
        return set()

    def close(self) -> None:
        """Nothing is left running."""
        self._next.clear()
