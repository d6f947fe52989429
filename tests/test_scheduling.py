"""vCPUs on CPUs: where they are put, when they are moved, and what that costs."""

from __future__ import annotations

import numpy as np
import pytest

from memvirt.errors import ConfigError
from memvirt.tlb import others
from memvirt.types import EVENT, MOVE, RUN, Schedule
from tests.support import row, rows

PLAIN = (
    "workload=uniform",
    "workload.footprint=2MiB",
    "workload.accesses=20000",
    "workload.warmup=0.25",
    "guest.prefault=all",
    "reclaim=none",
    "numa=two_socket",
    "numa.cpus_per_node=2",
)
AWAY = ("numa/placement=preferred", "numa.placement.node=1")
OFTEN = "numa.scheduler.period=2us"
FIRST_TOUCHES = (*PLAIN, "guest.prefault=false", "workload.warmup=0", "workload.accesses=4000", "workload.footprint=16MiB")


@pytest.mark.parametrize("mode", ["native", "nested", "shadow"])
def test_a_moved_vcpu_finds_cold_tlbs_and_its_memory_where_it_was(mode: str) -> None:
    """What it runs into is the same; each arrival is a flush, and what is remote is what nobody moved."""
    common = (*PLAIN, f"mmu={mode}")
    stays, moves = row(*common), row(*common, "numa/scheduler=naive", OFTEN)
    assert stays["vcpu_moves"] == stays["remote_accesses"] == 0
    assert moves["vcpu_moves"] > moves["vcpu_moves_to_other_node"] > 0
    assert moves["tlb_flushes"] - stays["tlb_flushes"] == pytest.approx(moves["vcpu_moves"], abs=2)  # the last may not have run
    assert moves["remote_accesses"] > 0
    assert moves["l2_tlb_misses"] > stays["l2_tlb_misses"]
    assert moves["cycles"] > stays["cycles"]
    for name in ("accesses", "instructions", "minor_faults"):
        assert moves[name] == stays[name]
    assert moves["vm_exits"] == stays["vm_exits"]


def test_numa_aware_goes_to_memory_and_stays_there() -> None:
    """Once, while a scheduler that is blind to memory wanders."""
    common = (*PLAIN, "mmu=nested", "workload.warmup=0", *AWAY)
    stays, aware, naive = (
        row(*common, *more) for more in ([], ["numa/scheduler=numa_aware", OFTEN], ["numa/scheduler=naive", OFTEN])
    )
    assert stays["remote_accesses"] == stays["accesses"]
    assert aware["vcpu_moves"] == aware["vcpu_moves_to_other_node"] == 1
    assert aware["remote_accesses"] < naive["remote_accesses"] < stays["remote_accesses"]
    assert aware["cycles"] < naive["cycles"]
    assert aware["cycles"] < stays["cycles"]
    there = row(*common, "numa/scheduler=pinned", "numa.scheduler.cpus=[2]")
    assert there["remote_accesses"] == 0
    assert there["cycles"] < aware["cycles"]


def test_numa_aware_leaves_alone_what_is_local() -> None:
    """As if it weren't there, to the bit."""
    common = (*PLAIN, "mmu=nested", "vms.count=2")
    assert repr(rows(*common)) == repr(rows(*common, "numa/scheduler=numa_aware", OFTEN))


def test_nodes_that_a_guest_is_shown() -> None:
    """First touches go by where it sees its vCPU, though that is moved; where none is, showing nodes changes nothing."""
    moved = ("numa/scheduler=pinned", "numa.scheduler.cpus=[0]", "numa.scheduler.then=[2]", "numa.scheduler.at=1us")
    common = (*FIRST_TOUCHES, "mmu=nested")
    hidden, shown = (row(*common, *moved, f"numa.vnuma={nodes}") for nodes in ("hidden", "shown"))
    assert shown["minor_faults"] == hidden["minor_faults"]
    assert shown["remote_accesses"] > 4 * hidden["remote_accesses"]
    assert len({repr(row(*common, f"numa.vnuma={nodes}")) for nodes in ("hidden", "shown")}) == 1
    native = [row(*FIRST_TOUCHES, *moved, "mmu=native", f"numa.vnuma={nodes}") for nodes in ("hidden", "shown")]
    assert native[0]["remote_accesses"] == native[1]["remote_accesses"]


@pytest.mark.parametrize("name", ["naive", "numa_aware"])
def test_vcpus_share_cpus_whoever_moves_them(name: str) -> None:
    """Each of four on two CPUs does all that it has to do, and none is lost on the way."""
    crowded = (*PLAIN, "mmu=nested", "vms.count=4", "numa.cpus_per_node=1", "numa.slice=2us", "workload.accesses=8000")
    got = rows(*crowded, f"numa/scheduler={name}", OFTEN)
    assert [each["accesses"] for each in got] == [6000] * 4


def test_interrupts_are_of_the_cpus_that_a_vm_is_on() -> None:
    """Not of those that it was on before."""
    runs, events = np.zeros(4, RUN), np.zeros(1, EVENT)
    runs["at"], runs["length"], runs["cpu"] = [0, 10, 20, 30], 10, [0, 1, 2, 3]
    assert others(Schedule(runs, 40, 1, 4, 1), events[:0]).tolist() == [[3, 3, 3, 3]]
    events["kind"], events["at"] = MOVE, 20
    assert others(Schedule(runs, 40, 1, 4, 1), events).tolist() == [[1, 1, 2, 2]]
    common = (*PLAIN, "mmu=native", "vms.vcpus=2", "workload.table_writes_every=100")
    stays, moves = row(*common), row(*common, "numa/scheduler=naive", OFTEN)
    assert moves["vcpu_moves"] > 2
    assert moves["tlb_ipis"] == stays["tlb_ipis"] > 0


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["numa/scheduler=pinned", "numa.scheduler.cpus=[4]"], "numa.scheduler.cpus"),
        (["numa/scheduler=naive", "numa.scheduler.period=1ns"], "numa.scheduler.period"),
        (["numa/scheduler=naive", "numa.scheduler.start=naive"], "numa.scheduler.start"),
        (["numa/scheduler=numa_aware", "numa.scheduler.gain=0"], "numa.scheduler.gain"),
        (["numa/scheduler=packed", "+numa.scheduler.period=1ms"], "numa.scheduler"),
    ],
)
def test_refused(words: list[str], key: str) -> None:
    """In one line, before anything is computed."""
    with pytest.raises(ConfigError) as refused:
        row(*PLAIN, *words)
    assert refused.value.key == key
