"""Balloons that set their own targets: by guests' statistics, by pressure, by miss-ratio curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memvirt.memory.balloon import miss_ratio
from tests.plain import Checker
from tests.support import write_pages

#: A guest of 256 pages that touches 200 of them, and then 50 alone, on a host that has a few more than 200.
WORDS = (
    "mmu=nested", "workload=trace", "clock.ns_per_instruction=10us", "epoch.accesses=null", "clock.quantum=10", "reclaim=swap",
    "reclaim/replacement=lru", "guest.replacement=lru", "vms.memory=1MiB", "overcommit.host_memory=880KiB",
    "reclaim.balloon.period=1ms", "reclaim.balloon.rate=1e6", "reclaim.balloon.cap=0.95",
)  # fmt: skip


@pytest.fixture
def run(plain: Checker, tmp_path: Path) -> Any:
    """Counters of that guest under a balloon."""
    path = write_pages(tmp_path / "idle.parquet", [*range(50, 200), *[*range(50)] * 41])
    return lambda *words: plain(*WORDS, f"workload.path={path}", *words)


def test_by_statistics(run: Any) -> None:
    """It holds all but what is used and the buffer, while the host is short; cache isn't what programs use."""
    words = ("reclaim/balloon=statistics", "reclaim.balloon.every=2ms")
    for buffer, cached in ((0.2, 0), (0.0625, 0), (0.125, 40)):
        found = run(*words, f"reclaim.balloon.buffer={buffer}", f"vms.cache={4 * cached}KiB")["vms"][0]
        assert found["balloon_pages"] == int(256 - 200 * (1 + buffer))
    assert run(*words, "overcommit.host_memory=2MiB")["vms"][0]["balloon_pages"] == 0  # plenty is free


def test_by_miss_ratio(run: Any) -> None:
    """It leaves the 50 that are used, and not one of them is missed."""
    found = run("reclaim/balloon=miss_ratio", "reclaim.balloon.every=2ms")
    assert found["vms"][0]["balloon_pages"] == 206
    assert (found["guest_swap_out_pages"], found["guest_major_faults"], found["major_faults"]) == (150, 0, 0)


def test_what_a_guest_misses_it_gets_back(plain: Checker, tmp_path: Path) -> None:
    """50 of 200 pages are used for a while, then all again: the balloon gives them back, and they are missed once."""
    path = write_pages(tmp_path / "again.parquet", [*range(200), *[*range(50)] * 30, *[*range(200)] * 12])
    found = plain(*WORDS, f"workload.path={path}", "reclaim/balloon=miss_ratio", "reclaim.balloon.every=3ms")
    assert found["guest_swap_out_pages"] >= 150
    assert found["vms"][0]["balloon_pages"] < 80
    assert found["guest_major_faults"] < 3 * 150  # of the twelve rounds that could fault


def test_by_pressure(run: Any) -> None:
    """What isn't used goes; it is by pressure that no more does."""
    words = ("reclaim/balloon=pressure", "reclaim.balloon.every=500us", "reclaim.balloon.ratio=0.1")
    careful, careless = (run(*words, f"reclaim.balloon.threshold={threshold}") for threshold in (0.01, 1.0))
    assert careful["vms"][0]["balloon_pages"] > 100
    assert careful["stall_ns"] < careless["stall_ns"]
    assert careful["guest_major_faults"] <= careless["guest_major_faults"]


def test_the_oldest_go_of_who_misses_the_least(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: what each guest needs for a twentieth of misses; and where the host has less, ages in the order of misses a page."""
    for name in ("enough", "size", "choose_ages"):
        monkeypatch.setattr(miss_ratio, name, getattr(getattr(miss_ratio, name), "py_func", getattr(miss_ratio, name)))
    state = miss_ratio.make(2, 0, 0.65, 4096, "100ms", "60s", 0.05)
    state.held[0, :4] = 50, 30, 20, 100
    state.touched[0, [0, 1, 2]] = 60, 36, 4  # 4 of 100 at age 2 and beyond
    state.held[1, :3] = 40, 40, 10
    state.touched[1, [0, 1, 2]] = 70, 4, 26
    miss_ratio.choose_ages(state, 1000)
    assert state.least.tolist() == [2, 3]
    assert [miss_ratio.size(state, vm) for vm in (0, 1)] == [80, 90]
    miss_ratio.choose_ages(state, 145)  # 36 misses for 30 pages, 26 for 10: the former are cheaper
    assert state.least.tolist() == [1, 3]
    miss_ratio.choose_ages(state, 100)  # then 26 for 10, then 4 for 40
    assert state.least.tolist() == [1, 1]
    state.missed[1] = 6  # of 106 touched: more than a twentieth, so nothing goes and it gets 6
    miss_ratio.choose_ages(state, 1000)
    assert state.least.tolist() == [2, miss_ratio.AGES]
    assert [miss_ratio.size(state, vm) for vm in (0, 1)] == [80, 96]
    state.missed[1] = 0
    miss_ratio.choose_ages(state, 10)  # what was touched just now stays
    assert np.asarray(state.least).tolist() == [1, 1]
