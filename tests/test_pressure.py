"""What memory holds up of a VM as a whole, against a look at each moment; what comes back; when a host thrashes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from memvirt.counters import names_of, own
from memvirt.memory import pressure
from memvirt.memory.records import Actor, Vm
from memvirt.memory.setup import records
from memvirt.result import monitor
from tests.plain import Checker
from tests.support import write_pages

NOTE_AWAY, NOTE_TURN = (getattr(each, "py_func", each) for each in (pressure.note_away, pressure.note_turn))
COUNTED = names_of(pressure.COUNTERS)


def a_vm(vcpus: int) -> Any:
    """A VM of so many vCPUs, each on a CPU of its own."""
    actors = records(vcpus, Actor)
    actors.vcpu, actors.vcpus, actors.total = np.arange(vcpus), vcpus, 1 << 40
    counts: Any = np.zeros((1, 1), [(name, "<i8") for name in COUNTED]).view(np.recarray)
    return SimpleNamespace(actors=actors, vms=records(1, Vm), rules=[SimpleNamespace(epoch_ns=0.0)], counts=counts)


def lived(vcpus: list[list[tuple[int, int, bool]]]) -> dict[str, int]:
    """What is noted of vCPUs' turns, each (time worked, time away after it, whether that is a wait), in the order of their times."""
    world, at, following = a_vm(len(vcpus)), [0] * len(vcpus), [0] * len(vcpus)
    while any(following[n] < len(turns) for n, turns in enumerate(vcpus)):
        number = min((n for n, turns in enumerate(vcpus) if following[n] < len(turns)), key=lambda n: at[n])
        worked, away, waits = vcpus[number][following[number]]
        since = at[number] + worked
        until = since + away
        NOTE_TURN(world, 0, 0, float(at[number]), float(until if waits else since))
        if away:
            NOTE_AWAY(world, number, 0, float(since), float(until), int(waits))
        at[number], following[number] = until, following[number] + 1
    return {name: int(world.counts[name][0, 0]) for name in COUNTED}


def looked_at(vcpus: list[list[tuple[int, int, bool]]]) -> dict[str, int]:
    """The same, moment by moment."""
    end = max(sum(worked + away for worked, away, _ in turns) for turns in vcpus)
    waiting, asleep = np.zeros((len(vcpus), end), bool), np.zeros((len(vcpus), end), bool)
    awake = np.zeros((len(vcpus), end), bool)
    for number, turns in enumerate(vcpus):
        at = 0
        for worked, away, waits in turns:
            (waiting if waits else asleep)[number, at + worked : at + worked + away] = True
            awake[number, at : at + worked + away * waits] = True
            at += worked + away
    some = waiting.any(axis=0)
    found = (some, some & (waiting | asleep).all(axis=0), awake.any(axis=0))
    return dict(zip(COUNTED, (int(each.sum()) for each in found), strict=False))


def test_one_of_two_always_waits() -> None:
    """Some vCPU always waits, never all (kernel/sched/psi.c's states); of a single vCPU both are the same."""
    found = lived([[(1, 99, True)] * 50, [(100, 0, False)] * 50])
    assert found["stall_some_ns"] / found["awake_ns"] == pytest.approx(0.99)
    assert found["stall_full_ns"] == 0
    assert found["span_ns"] == 5000
    alone = lived([[(1, 99, True)] * 50])
    assert alone["stall_some_ns"] == alone["stall_full_ns"] == 4950
    sleeping = lived([[(1, 99, True)] * 50, [(0, 5000, False)]])  # who sleeps is no reason not to be held up
    assert sleeping["stall_full_ns"] == sleeping["stall_some_ns"] == 4950


@pytest.mark.parametrize("vcpus", [1, 2, 3, 5])
def test_pressure_is_what_a_look_at_each_moment_shows(vcpus: int) -> None:
    """Of turns, waits and sleeps of random lengths, with many ties."""
    rng = np.random.default_rng(vcpus)
    for _ in range(40):
        turns = [
            [(int(rng.integers(0, 6)), int(rng.integers(0, 12)), bool(rng.integers(0, 3))) for _ in range(rng.integers(1, 12))]
            for _ in range(vcpus)
        ]
        found, wanted = lived(turns), looked_at(turns)
        assert {name: found[name] for name in wanted} == wanted


def test_pressure_of_a_run(plain: Checker) -> None:
    """One vCPU: some, full and the mean are the same; two that queue for a disk wait at once more often than not, and never longer than either."""
    words = ("mmu=native", "workload=uniform", "workload.footprint=1MiB", "overcommit.ratio=2", "epoch.accesses=null")
    one = plain(*words, "workload.accesses=800")
    assert one["major_faults"] > 100
    assert one["stall_some_ns"] == one["stall_full_ns"] == pytest.approx(one["stall_ns"], abs=one["major_faults"])
    assert one["awake_ns"] == pytest.approx(one["elapsed_ns"], rel=1e-5) == one["span_ns"]
    life = (
        "workload=working_sets",
        "workload.footprint=2MiB",
        "workload.seconds=20",
        "workload.step=2",
        "workload.fill=0",
        "workload.warmup=0",
    )
    two = plain(
        *life,
        "workload.working_set=0.9",
        "mmu=native",
        "overcommit.ratio=8",
        "vms.vcpus=2",
        "reclaim/device=hdd",
        "epoch.accesses=null",
    )
    assert 0 < two["stall_full_ns"] < two["stall_some_ns"] < two["stall_ns"] < two["elapsed_ns"]
    assert two["stall_some_ns"] <= two["awake_ns"] <= two["span_ns"]


def test_what_comes_back(plain: Checker, tmp_path: Path) -> None:
    """Sweeps over three and one and a half times what there is: each page comes back; as much again would have kept the second's alone."""
    for pages, kept in ((150, False), (75, True)):
        path = write_pages(tmp_path / f"{pages}.parquet", [*range(pages)] * 4)
        found = plain(
            "mmu=native", "workload=trace", f"workload.path={path}", "overcommit.host_memory=200KiB", "epoch.accesses=null"
        )
        assert found["refaults"] == found["major_faults"] == 3 * pages
        assert found["activations"] == kept * 3 * pages


def test_a_copy_is_no_stall(plain: Checker) -> None:
    """The host copies merged pages at their first write: time that the VM waits, but for no memory (psi.c counts none)."""
    found = plain(
        "mmu=native", "workload=uniform", "workload.accesses=1200", "workload.footprint=1MiB", "workload.write_share=0.3",
        "vms.count=2", "reclaim=sharing", "contents.zero=0.9", "reclaim.sharing.sleep=1ms", "workload.instructions_per_access=50",
        "clock.ns_per_instruction=1us", "guest.prefault=true", "reclaim.sharing.smart_scan=false",
    )  # fmt: skip
    assert found["cow_breaks"] > 10
    assert found["stall_ns"] == 0
    assert found["copy_ns"] == found["host_copying_ns"] > 0


def counters(**columns: list[list[int]]) -> monitor.Counts:
    """Counters of VMs, zero but for those that are given."""
    shape = np.array(next(iter(columns.values()))).shape
    return {name: np.array(columns.get(name, np.zeros(shape, np.int64))) for name in names_of(own("memory"))}


def thrash(busy: list[list[int]], elapsed: list[list[int]], faults: list[list[int]]) -> list[int]:
    """Epochs in which a host thrashes."""
    values = counters(busy_ns=busy, elapsed_ns=elapsed, major_faults=faults, span_ns=[[1000] * len(busy[0])] * len(busy))
    return np.flatnonzero(monitor.thrashing(values)[1]).tolist()


def test_when_a_host_thrashes() -> None:
    """Its work collapses while paging rises: not one VM's of three, nor where VMs ask for less, nor where nothing is paged."""
    all_wait = [[1000, 1000, 300, 300], [1000, 1000, 400, 500], [1000, 1000, 200, 900]]
    awake, paged = [[1000] * 4] * 3, [[0, 0, 9, 9]] * 3
    assert thrash(all_wait, awake, paged) == [2]
    assert thrash(all_wait, awake, [[0] * 4] * 3) == []
    assert thrash([[1000, 1000, 10, 10], [1000] * 4, [1000] * 4], awake, paged) == []
    assert thrash(all_wait, all_wait, paged) == []  # they rest
    assert thrash([[30, 20], [40, 30]], [[1000, 1000]] * 2, [[9, 8]] * 2) == [
        0,
        1,
    ]  # less than one of them does alone, from the start


def test_a_vm_that_grows_is_no_alarm() -> None:
    """Pages touched beside those resident when the epoch ends, not before it began."""
    seen = monitor.watch(counters(active_pages=[[100, 200, 300]], resident_pages=[[100, 200, 250]], elapsed_ns=[[1, 1, 1]]))
    assert monitor.SIGNALS["active"].passed(seen["active_share"]).tolist() == [[False, False, True]]
