"""CPU time that reclaim takes: what is counted, who waits for it, and that what it asks a device for comes after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.plain import Checker
from tests.support import write_pages

TAKE, WRITE = 3000, 2000  #: ns
SWEEP = (
    "mmu=native",
    "workload=trace",
    "epoch.accesses=null",
    "reclaim/replacement=lru",
    "clock.minor_fault=0",
    "clock.reclaim_waits=true",
)
DEVICE = ("reclaim.device.bandwidth=1e15", "reclaim.device.write_latency=0")  #: where nothing queues


@pytest.fixture
def run(plain: Checker, tmp_path: Path) -> Any:
    """Three sweeps over 100 pages, with prices of reclaim or without."""
    path = write_pages(tmp_path / "sweep.parquet", [*range(100)] * 3)

    def run(*words: str, take: int = TAKE, write: int = WRITE) -> dict[str, Any]:
        return plain(*SWEEP, f"workload.path={path}", f"clock.reclaim_page={take}", f"clock.swap_out_page={write}", *words)

    return run


def test_who_faults_waits_for_what_it_reclaims(run: Any) -> None:
    """By hand: 60 frames for 100 pages by LRU, so all but 60 of 300 accesses take a page, each of which is written once."""
    words = ("overcommit.host_memory=240KiB", *DEVICE)
    priced, free = run(*words), run(*words, take=0, write=0)
    assert priced["major_faults"] == free["major_faults"] == 200
    assert priced["swap_out_pages"] == free["swap_out_pages"]
    took = 240 * TAKE + priced["swap_out_pages"] * WRITE
    assert priced["host_reclaiming_ns"] == took
    assert free["host_reclaiming_ns"] == 0
    assert priced["stall_ns"] - free["stall_ns"] == took  # a read begins only then
    beside = run(*words, "clock.reclaim_waits=false")
    assert (beside["host_reclaiming_ns"], beside["stall_ns"]) == (took, free["stall_ns"])


def test_background_reclaim_holds_nobody_up(plain: Checker, tmp_path: Path) -> None:
    """A daemon's time is the host's alone: 200 pages of which 50 are used, and some of the others go."""
    path = write_pages(tmp_path / "idle.parquet", [*range(50, 200), *[*range(50)] * 41])
    found = plain(
        *SWEEP, f"workload.path={path}", "clock.ns_per_instruction=10us", "clock.quantum=10", "reclaim=senpai", "reclaim.ratio=0.05",
        "reclaim.most=0.1", "reclaim.period=2ms", "reclaim.threshold=1.0", f"clock.reclaim_page={TAKE}", f"clock.swap_out_page={WRITE}",
    )  # fmt: skip
    assert found["host_reclaiming_ns"] == found["swap_out_pages"] * (TAKE + WRITE) > 0
    assert found["stall_ns"] == found["major_faults"] == 0


def test_a_guest_reclaims_on_its_own_time(run: Any) -> None:
    """It pages out for itself, and waits as if the host did."""
    words = ("mmu=nested", "vms.memory=320KiB", "guest.swap=1MiB", "guest.replacement=lru", "overcommit.host_memory=1MiB", *DEVICE)
    found, free = run(*words), run(*words, take=0, write=0)
    assert found["guest_swap_out_pages"] > 50
    assert found["guest_reclaiming_ns"] >= found["guest_swap_out_pages"] * (TAKE + WRITE)
    assert found["host_reclaiming_ns"] == 0
    assert found["stall_ns"] - free["stall_ns"] == found["guest_reclaiming_ns"]


def test_who_evicts_compresses_and_a_worker_writes_back(plain: Checker) -> None:
    """zswap: compressing is waited for, writing back what was there before isn't, though it decompresses."""
    words = ("mmu=native", "workload=uniform", "workload.accesses=2000", "workload.footprint=1MiB", "workload.write_share=1",
             "overcommit.ratio=2", "reclaim=compression", "reclaim/compression=zswap", "reclaim/replacement=lru", "epoch.accesses=null",
             "clock.reclaim_waits=true", "clock.reclaim_page=0", "clock.swap_out_page=0", "clock.minor_fault=0", *DEVICE)  # fmt: skip
    free, compresses, decompresses = (
        plain(*words, f"clock.compress={there}", f"clock.decompress={back}") for there, back in ((0, 0), (30000, 0), (0, 10000))
    )
    assert compresses["stall_ns"] - free["stall_ns"] == pytest.approx(compresses["host_compressing_ns"], abs=1000)
    assert free["compressed_evictions"] > 100
    assert decompresses["stall_ns"] - free["stall_ns"] == pytest.approx(10000 * free["decompressions"], abs=1000)
