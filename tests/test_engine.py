"""The engine when things go wrong: workers and machines that die, fields that are lost, limits; and what is kept for later sweeps."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from memvirt.sweep import executor
from memvirt.sweep.engine.node import Failure
from memvirt.sweep.executor import Compiling, Ended, Job, Outcome, attempt
from memvirt.sweep.executor.local import Serial
from memvirt.sweep.store.kept import Kept
from tests.sweeps import SMALL, engine_rows, planned

GRID = ("mmu=native,nested", "tlb=skylake,zen4", "overcommit.ratio=1,1.6")


class Shaky(Serial):
    """A serial executor some of whose batches don't end well.

    ``fate`` is asked for each batch, by its number, and either gives how it ends instead or None.
    """

    def __init__(self, fate: Callable[[int, Sequence[Job]], Ended | None]) -> None:
        super().__init__()
        self.fate, self.gone = fate, set[str]()
        self.batches: list[tuple[str, ...]] = []

    def wait(self, timeout: float) -> list[Ended]:
        """Ask fate, or compute."""
        if not self._next:
            return []
        number, jobs = self._next[0]
        self.batches.append(tuple(job.name for job in jobs))
        ended = self.fate(number, jobs)
        if ended is None:
            return super().wait(timeout)
        self._next.popleft()
        return [ended]

    def dead(self) -> set[str]:
        """Machines that died."""
        return self.gone


@pytest.fixture(scope="module")
def quiet() -> dict[str, Any]:
    """What the grid gives when nothing goes wrong."""
    return engine_rows(planned(*SMALL, *GRID))[0]


def test_a_worker_that_dies_once(quiet: dict[str, Any]) -> None:
    """Every third batch's worker dies the first time: all is tried again, and nothing is missing."""
    struck: set[tuple[str, ...]] = set()

    def fate(number: int, jobs: Sequence[Job]) -> Ended | None:
        names = tuple(job.name for job in jobs)
        if number % 3 or names in struck:
            return None
        struck.add(names)
        return Ended(number, [], None, "here", False, "killed")

    found, engine = engine_rows(planned(*SMALL, *GRID), executor=Shaky(fate))
    assert found == quiet
    assert len(struck) > 3
    assert all(tally.failed == 0 for tally in engine.tallies.values())


def test_a_stage_that_kills_its_worker(quiet: dict[str, Any]) -> None:
    """The batch is tried again, then halved, down to the stage at fault; only the points that need it are crashed."""
    victim: list[str] = []

    def fate(number: int, jobs: Sequence[Job]) -> Ended | None:
        if jobs[0].room == "cost" and len(jobs) > 2 and not victim:
            victim.append(jobs[1].name)
        return Ended(number, [], None, "here", False, "exit code -9") if {j.name for j in jobs} & set(victim) else None

    executor = Shaky(fate)
    found, engine = engine_rows(planned(*SMALL, *GRID), executor=executor)
    crashed = {name: result for name, result in found.items() if isinstance(result, Failure)}
    assert crashed
    assert {result.status for result in crashed.values()} == {"crashed"}
    assert all("the worker died each time in cost" in result.error for result in crashed.values())
    assert {name: rows for name, rows in found.items() if name not in crashed} == {
        name: rows for name, rows in quiet.items() if name not in crashed
    }
    assert engine.tallies["cost"].failed == 1
    sizes = [len(batch) for batch in executor.batches if victim[0] in batch]
    assert sizes[0] == sizes[1] > sizes[-1] == 1  # once more as it is, then in parts


def test_machines_that_die_cost_no_strike(quiet: dict[str, Any]) -> None:
    """A stage lost with its machine is tried as often as machines die."""
    lost: dict[tuple[str, ...], int] = {}
    executor: Shaky

    def fate(number: int, jobs: Sequence[Job]) -> Ended | None:
        names = tuple(job.name for job in jobs)
        lost[names] = lost.get(names, 0) + 1
        if lost[names] > 4:
            return None
        executor.gone.add(f"machine {number}")
        return Ended(number, [], None, f"machine {number}", True, "its machine died")

    executor = Shaky(fate)
    assert engine_rows(planned(*SMALL, *GRID), executor=executor)[0] == quiet


def test_lost_fields_are_made_again(quiet: dict[str, Any]) -> None:
    """What was lost with a machine is computed once more, whatever it is an input of."""
    told: set[str] = set()

    def fate(number: int, jobs: Sequence[Job]) -> Ended | None:
        new = {job.name for job in jobs if job.room in ("tlb", "mmu", "cost")} - told
        if not new:
            return None
        told.update(new)
        outcomes = [Outcome("lost") if job.name in new else Outcome("skipped") for job in jobs]
        return Ended(number, outcomes)

    assert engine_rows(planned(*SMALL, *GRID), executor=Shaky(fate))[0] == quiet
    assert len(told) > 8


def test_fields_that_are_lost_each_time() -> None:
    """End in a crash that says so, and not in an endless loop."""

    def fate(number: int, jobs: Sequence[Job]) -> Ended | None:
        return Ended(number, [Outcome("lost") for _ in jobs]) if jobs[0].room == "mmu" else None

    found, _ = engine_rows(planned(*SMALL, "mmu=native,nested"), executor=Shaky(fate))
    assert {result.status for result in found.values()} == {"crashed"}
    assert all("what mmu reads was lost 9 times" in result.error for result in found.values())


def test_a_stage_that_compiled_on_a_busy_machine_has_its_own_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling that waits for a CPU isn't taken off what the stage itself computed: it would seem to take no time, and be sent with all others."""
    compiling = Compiling()

    def waits_then_works(job: Job, inputs: object) -> Outcome:
        compiling.on_start(None)
        time.sleep(0.2)
        compiling.on_end(None)
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
        return Outcome("ok")

    monkeypatch.setattr(executor, "_attempt", waits_then_works)
    outcome = attempt(None, [], compiling)  # type: ignore[arg-type]
    assert outcome.seconds >= 0.05
    assert outcome.compiling >= 0.2


def test_a_limit() -> None:
    """Points whose stages take longer fail as such, and say so."""
    found, _ = engine_rows(planned(*SMALL, "mmu=native,nested"), limit=1e-9)
    assert {result.status for result in found.values()} == {"timeout"}
    assert all("beyond its time limit of 1e-09 s" in result.error for result in found.values())


def test_kept_stages_are_not_computed_again(quiet: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later sweep takes them from the disk; other prices then compute nothing but prices; a damaged one is computed."""
    monkeypatch.setattr(Kept, "worth_keeping", lambda self, seconds, size: True)
    engine_rows(planned(*SMALL, *GRID), kept=Kept(tmp_path, 1 << 30))
    again, engine = engine_rows(planned(*SMALL, *GRID), kept=Kept(tmp_path, 1 << 30))
    assert again == quiet
    assert [engine.tallies[room].computed for room in ("workload", "memory", "tlb", "mmu")] == [0, 0, 0, 0]
    assert engine.tallies["mmu"].reused == engine.tallies["mmu"].distinct > 0
    other = (*SMALL, *GRID, "cpu=zen4")
    assert engine_rows(planned(*other), kept=Kept(tmp_path, 1 << 30))[0] == engine_rows(planned(*other))[0]
    caches = (*SMALL, *GRID, "cache=pte")  # needs the fields themselves
    found, engine = engine_rows(planned(*caches), kept=Kept(tmp_path, 1 << 30))
    assert found == engine_rows(planned(*caches))[0]
    assert [engine.tallies[room].computed for room in ("memory", "tlb")] == [0, 0]
    for path in tmp_path.rglob("*"):
        if path.is_file():
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 0xFF
            path.write_bytes(data)
    found, engine = engine_rows(planned(*caches), kept=Kept(tmp_path, 1 << 30))
    assert found == engine_rows(planned(*caches))[0]
    assert engine.tallies["memory"].computed == engine.tallies["memory"].distinct


def test_kept_stages_have_a_limit(tmp_path: Path) -> None:
    """The folder is brought within it, what was used longest ago first; nothing is kept that is quick to compute."""
    from memvirt.sweep.store.kept import KeptStage

    kept = Kept(tmp_path, 40_000)
    for number in range(10):
        kept.write(str(number), KeptStage({}, {"x": "." * 10_000}, 1.0), {})
    for path in kept.folder.iterdir():
        import os

        os.utime(path, (int(path.name), int(path.name)))
    kept.prune()
    assert sorted(path.name for path in kept.folder.iterdir()) == ["7", "8", "9"]
    assert not kept.worth_keeping(0.01, 10)
    assert not kept.worth_keeping(1.0, 1 << 30)
    assert Kept(tmp_path, 1 << 30).worth_keeping(1.0, 1 << 20)


@pytest.mark.parametrize("seed", range(12))
def test_random_mishaps(seed: int, quiet: dict[str, Any]) -> None:
    """Deaths of workers and machines, lost inputs, skipped jobs and little memory in any order: the rows don't change."""
    chance = random.Random(seed)
    hits: dict[str, int] = {}
    executor: Shaky

    def fate(number: int, jobs: Sequence[Job]) -> Ended | None:
        names = [job.name for job in jobs]
        if chance.random() < 0.5 or any(hits.get(name, 0) > 3 for name in names):
            return None
        hits.update({name: hits.get(name, 0) + 1 for name in names})
        kind = chance.randrange(4)
        if kind == 0 and all(hits[name] == 1 for name in names):  # a strike each at the most
            return Ended(number, [], None, "here", False, "killed")
        if kind == 1:
            executor.gone.add(f"machine {number}")
            return Ended(number, [], None, f"machine {number}", True, "its machine died")
        if kind == 2:
            return Ended(number, [Outcome(chance.choice(("lost", "skipped"))) for _ in jobs])
        return None

    executor = Shaky(fate)
    memory = chance.choice((1, 100_000, None))
    found, engine = engine_rows(planned(*SMALL, *GRID), executor=executor, memory=memory)
    assert found == quiet
    assert sum(hits.values()) > 5
    assert engine.holdings.bytes == 0


@pytest.mark.parametrize("seed", range(6))
def test_random_failures_beside_mishaps(seed: int, quiet: dict[str, Any]) -> None:
    """Some stages fail for good while others are lost: each point ends, with the right rows or with a failure."""
    chance = random.Random(100 + seed)
    bad: dict[str, bool] = {}
    losses: dict[str, int] = {}

    def fate(number: int, jobs: Sequence[Job]) -> Ended | None:
        outcomes = []
        for job in jobs:
            if bad.setdefault(job.name, chance.random() < 0.15 and job.room != "workload"):
                outcomes.append(Outcome("error", error="bad luck"))
            elif chance.random() < 0.3 and losses.get(job.name, 0) < 3:
                losses[job.name] = losses.get(job.name, 0) + 1
                outcomes.append(Outcome("lost"))
            else:
                outcomes.append(Outcome("skipped"))
        useful = [outcome for outcome in outcomes if outcome.status != "skipped"]
        return Ended(number, outcomes) if useful else None

    found, _ = engine_rows(planned(*SMALL, *GRID), executor=Shaky(fate), memory=chance.choice((1, None)))
    assert set(found) == set(quiet)
    for name, result in found.items():
        assert result == quiet[name] or result == Failure("error", "bad luck", "")
