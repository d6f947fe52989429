"""Data and page tables that follow the vCPUs which use them: Linux's NUMA balancing, and what it costs."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from memvirt.errors import ConfigError, Conflict
from memvirt.memory.migration import Host
from memvirt.memory.migration.autonuma import make
from memvirt.pipeline.compute import simulate
from tests.support import point, row

PAGES = 512
PLAIN = (
    "workload=uniform",
    "workload.footprint=2MiB",
    "workload.accesses=20000",
    "workload.warmup=0",
    "guest.prefault=all",
    "reclaim=none",
    "reclaim/replacement=fifo",
    "cache=none",
    "numa=two_socket",
    "numa.cpus_per_node=2",
    "epoch.accesses=2000",
    "clock.migrate=10ns",
    "clock.copy_page=1ns",
    "clock.minor_fault=10ns",
)
#: A vCPU goes to the other node at once; a scan of 1 MiB each 400 ns or so.
MOVED = ("numa/scheduler=pinned", "numa.scheduler.cpus=[0]", "numa.scheduler.then=[2]", "numa.scheduler.at=1us")
AUTO = ("numa/migration=autonuma", "numa.migration.scan_size=1MiB", "numa.migration.delay=2s", "clock.daemon_speedup=1e6")


def run(*words: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The row of a point with one VM, and those of its epochs."""
    (result,), epochs = simulate(point(*words))
    return result, epochs


@pytest.mark.parametrize(("mode", "where"), [("native", "host"), ("nested", "host"), ("nested", "guest"), ("shadow", "host")])
def test_data_follow_a_vcpu(mode: str, where: str) -> None:
    """All of them, each once; a hint fault is a plain fault of a guest or process, and an EPT violation in the host behind one."""
    got, epochs = run(*PLAIN, *MOVED, *AUTO, f"mmu={mode}", f"numa.migration.where={where}")
    stays, _ = run(*PLAIN, *MOVED, f"mmu={mode}")
    assert stays["remote_accesses"] == stays["guest_tables_remote"] > 10000
    assert "hint_faults" not in stays  # nobody counts them
    assert got["migrated_pages_data"] == PAGES
    assert got["remote_accesses"] > 0
    assert epochs[-1]["remote_accesses"] == 0
    in_host = mode != "native" and where == "host"
    assert got["host_minor_faults" if in_host else "minor_faults"] == got["hint_faults"] > PAGES
    assert got["minor_faults" if in_host else "host_minor_faults"] == 0
    assert got["hint_entries"] <= got["numa_scans"] * 256
    if mode == "nested":
        assert got["vm_exits_ept_violation"] == (got["hint_faults"] if in_host else 0)
        assert got["tlb_invepts"] == (got["numa_scans"] if in_host else 0)
    assert got["migration_ns"] == got["migrations"] * 11
    assert got["migrations"] == PAGES + (4 if in_host else 0)  # the guest's tables are memory to its host
    assert epochs[-1]["guest_tables_remote"] == (0 if in_host else epochs[-1]["accesses"])
    assert epochs[-1]["host_tables_remote"] == (0 if mode == "native" else epochs[-1]["accesses"])


@pytest.mark.parametrize(("mode", "kinds"), [("native", ["guest"]), ("nested", ["guest", "host"])])
def test_tables_follow_their_children(mode: str, kinds: list[str]) -> None:
    """When a round is over; then nothing is remote, and what is walked is what it would be had nothing moved."""
    common = (*PLAIN, *MOVED, *AUTO, f"mmu={mode}")
    stay, _ = run(*common)
    follow, epochs = run(*common, *(f"numa.{kind}_tables=migrated" for kind in kinds))
    for kind in kinds:
        assert epochs[-1][f"{kind}_tables_remote"] == epochs[-1][f"remote_refs_{kind}_tables"] == 0
        assert follow[f"migrated_pages_{kind}_tables"] in (4, 5)
    assert follow["walk_pending_cycles"] < stay["walk_pending_cycles"]
    assert follow["refs_per_walk"] == stay["refs_per_walk"]
    for name in ("walks", "l1_tlb_misses", "l2_tlb_misses", "hint_faults", "migrated_pages_data"):
        assert follow[name] == stay[name], name


def test_turned_off() -> None:
    """No scan any more from then on, and each page that is still inaccessible faults once."""
    got, epochs = run(*PLAIN, *MOVED, *AUTO, "mmu=nested", "numa.migration.where=guest", "numa.migration.until=5s")
    assert got["numa_scans"] == sum(each["numa_scans"] for each in epochs[:-4]) > 0
    assert epochs[-1]["hint_faults"] == 0
    never, _ = run(*PLAIN, *MOVED, *AUTO, "mmu=nested", "numa.migration.where=guest")
    assert never["numa_scans"] > got["numa_scans"]


def test_what_is_local_stays() -> None:
    """Balancing costs its scans and faults, and gains nothing: migration that doesn't pay shows as such."""
    idle, _ = run(*PLAIN, "mmu=nested")
    got, _ = run(*PLAIN, *AUTO, "mmu=nested")
    assert got["migrations"] == got["remote_accesses"] == 0
    assert got["hint_faults_local"] == got["hint_faults"] > 0
    assert got["cycles"] > idle["cycles"]
    assert got["slowdown"] > idle["slowdown"]


def test_a_full_node_takes_nothing() -> None:
    """Pages that find no room stay, each where it was, and balancing slows down."""
    common = (*PLAIN, *AUTO, *MOVED, "mmu=native")
    free, full = row(*common), row(*common, "numa.memory=[2MiB,1MiB]")
    assert free["migration_failures"] == 0
    assert full["migrated_pages_data"] == 256
    assert full["migration_failures"] > 0
    assert full["numa_scans"] < free["numa_scans"]
    assert full["remote_accesses"] > free["remote_accesses"]


def test_large_pages_move_whole() -> None:
    """512 frames at one hint fault."""
    sizes = ("guest.page_size=2M", "host.page_size=2M", "workload.footprint=8MiB", "numa.migration.scan_size=8MiB")
    for where in ("host", "guest"):
        got, epochs = run(*PLAIN, *MOVED, *AUTO, *sizes, "mmu=nested", f"numa.migration.where={where}")
        assert got["migrated_pages_data"] == 4 * PAGES
        assert epochs[-1]["remote_accesses"] == 0
        assert got["hint_entries"] < 20 * got["numa_scans"]


@pytest.mark.parametrize("scale", [1, 32])
def test_the_size_of_a_scan(scale: int) -> None:
    """256 MB of a real host's memory, in frames of one that is so many times smaller."""
    balance = make(Host(1, 2, 1, 2, 1.0), scale=scale).balance
    assert balance.rule[1] == 65536 // scale
    assert balance.rule[5] == pytest.approx(100e6)  # not more than 2,560 MB a second


def test_by_hand() -> None:
    """Filter, period, and pages that go there and back, in plain Python (`tests/migration_by_hand.py`)."""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    words = [sys.executable, "-W", "ignore", "-m", "tests.migration_by_hand"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["filter", "period", "there", "and", "back"]


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["numa/migration=autonuma", "numa/placement=interleave"], "numa.migration"),
        (["numa/migration=autonuma", "numa.migration.where=here"], "numa.migration.where"),
        (["numa/migration=autonuma", "numa.migration.scan_size=1"], "numa.migration.scan_size"),
        (["numa/migration=autonuma", "numa.migration.period_max=1ms"], "numa.migration.period_max"),
        (["numa/migration=autonuma", "numa.migration.scale=-1"], "numa.migration.scale"),
        (["numa.guest_tables=migrated"], "numa.guest_tables"),
        (["numa/migration=autonuma", "numa.shadow_tables=migrated"], "numa.shadow_tables"),
        (["numa/migration=autonuma", "numa.host_tables=migrated", "overcommit.charge_tables=true"], "overcommit.charge_tables"),
        (["numa/migration=autonuma", "numa.migration.where=guest", "host.page_size=2M"], "numa.migration.where"),
        (["numa/scheduler=pinned", "numa.scheduler.at=1s"], "numa.scheduler.then"),
        (["numa/scheduler=pinned", "numa.scheduler.at=1s", "numa.scheduler.then=[9]"], "numa.scheduler.then"),
    ],
)
def test_refused(words: list[str], key: str) -> None:
    """In one line, before anything is computed."""
    with pytest.raises((ConfigError, Conflict)) as refused:
        row(*PLAIN, "mmu=nested", *words)
    assert refused.value.key == key
