"""Whose turn it is, against a look at all vCPUs each time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from memvirt.memory import turns
from memvirt.memory.records import Actor, Cpu
from memvirt.memory.setup import records


def plain(function: Any) -> Any:
    """A kernel as Python."""
    return getattr(function, "py_func", function)


def scanned(world: Any) -> int:
    """The vCPU whose turn it is: of the CPU that is furthest behind, of several the first; round robin, the current one last."""
    actors, cpus = world.actors, world.cpus
    times = [(max(a.ready, cpus[a.cpu].clock), int(a.cpu)) for a in actors if a.position < a.total]
    if not times:
        return -1
    soonest, cpu = min(times)
    able = [n for n, a in enumerate(actors) if a.cpu == cpu and a.position < a.total and a.ready <= soonest]
    current = int(cpus[cpu].current)
    if current in able and soonest < cpus[cpu].slice_end:
        return current
    return min(able, key=lambda number: (number - max(current, 0) - 1) % actors.size)


@pytest.mark.parametrize(("vcpus", "cpus"), [(1, 1), (5, 1), (7, 3), (9, 16), (12, 5)])
def test_turns(monkeypatch: pytest.MonkeyPatch, vcpus: int, cpus: int) -> None:
    """Every turn of vCPUs that run, wait, are held back and end, with many ties, is the one that a look at all of them finds."""
    monkeypatch.setattr(turns, "first_cpu", plain(turns.first_cpu))
    rng = np.random.default_rng(vcpus)
    actors, processors = records(vcpus, Actor), records(cpus, Cpu)
    actors.cpu = np.arange(vcpus) % cpus
    actors.total = rng.integers(0, 60, vcpus)
    actors.ready = rng.integers(0, 3, vcpus)
    processors.current = -1
    turns.rings(processors, actors)
    world: Any = SimpleNamespace(actors=actors, cpus=processors, due=turns.tournament(processors, actors))
    made = 0
    while True:
        expected = scanned(world)
        assert plain(turns.next_actor)(world) == expected
        if expected < 0:
            break
        actor, cpu = actors[expected], processors[actors[expected].cpu]
        assert cpu.clock >= actor.ready
        if cpu.current != expected:
            cpu.current, cpu.slice_end = expected, cpu.clock + 2
        actor.position += 1
        actor.ready = cpu.clock + rng.integers(0, 5) * rng.integers(0, 2)
        cpu.clock += rng.integers(0, 3)
        plain(turns.set_due)(world, int(actor.cpu))
        if rng.random() < 0.1:  # the host holds one back
            held = actors[rng.integers(vcpus)]
            held.ready = max(held.ready, cpu.clock + 4)
            plain(turns.set_due)(world, int(held.cpu))
        made += 1
    assert made == actors.total.sum()
