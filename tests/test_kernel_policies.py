"""Policies of newer kernels: the multi-gen LRU, proactive reclaim by pressure; and what is said of knobs that there are not."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memvirt.memory.reclaim import cold_age
from memvirt.memory.replacement import mglru
from memvirt.policy import names
from memvirt.sweep.plan.unmodelled import FAMILIES, unmodelled
from tests.plain import Checker
from tests.support import write_pages

INSERT, REMOVE, TOUCH = mglru._insert, mglru._remove, mglru._touch
CHOOSE = getattr(mglru.choose, "py_func", mglru.choose)


def as_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the module's kernels be Python."""
    for name in ("put", "take_off", "promote", "age"):
        monkeypatch.setattr(mglru, name, getattr(getattr(mglru, name), "py_func", getattr(mglru, name)))


def test_generations(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest goes first; what is accessed is spared, and its neighbours with it by one look; a walk begins a generation."""
    as_python(monkeypatch)
    state: Any = mglru.make(300, 1)
    for item in range(200):
        mglru.put(state, item, int(state.generations.youngest[0]) % mglru.MOST)
    assert CHOOSE(state, 0) == 0
    assert CHOOSE(state, 0) == 0  # asking is no removal
    walks = int(state.generations.youngest[0])
    state.pages.accessed[[0, 3, 31, 32, 100]] = 1
    assert CHOOSE(state, 0) == 1
    assert state.pages.accessed.tolist() == [int(item in (32, 100)) for item in range(300)]  # 32 entries on either side
    for item in [1, 2, *range(4, 31), *range(33, 100), *range(101, 200)]:
        assert CHOOSE(state, 0) == item
        mglru.take_off(state, item)
    assert state.generations.youngest[0] == walks
    assert CHOOSE(state, 0) in (0, 3, 31, 32, 100)  # nothing else is left
    assert state.generations.youngest[0] > walks
    assert 2 <= state.generations.youngest[0] - state.generations.oldest[0] + 1 <= mglru.MOST


def test_control_groups_age_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has generations of its own, and one that is empty names no page."""
    as_python(monkeypatch)
    state: Any = mglru.make(8, 1, np.array([0, 0, 0, 0, 1, 1, 2, 2]))
    for item in range(6):
        mglru.put(state, item, int(state.generations.youngest[0]) % mglru.MOST)
    assert [int(CHOOSE(state, group)) for group in (0, 1, 2)] == [0, 4, 8]
    state.pages.accessed[:2] = 1
    assert CHOOSE(state, 0) == 2
    assert state.generations.youngest[1] <= state.generations.youngest[0]


def test_mglru_in_the_machine(plain: Checker) -> None:
    """Beside the two lists: books are right, and the faults lie between those of LRU and of random replacement."""
    words = (
        "mmu=native",
        "workload=zipf",
        "workload.accesses=1500",
        "workload.footprint=1MiB",
        "overcommit.ratio=2",
        "reclaim=swap",
    )
    faults = {name: plain(*words, f"reclaim/replacement={name}")["major_faults"] for name in ("lru", "mglru", "random")}
    assert 0.95 * faults["lru"] <= faults["mglru"] <= faults["random"]


def test_idle_memory_is_offloaded(plain: Checker, tmp_path: Path) -> None:
    """200 pages of which 50 are used: the others go, a share a period while nothing is waited for, and those 50 stay."""
    path = write_pages(tmp_path / "idle.parquet", [*range(50, 200), *[*range(50)] * 41])
    words = ["mmu=native", "workload=trace", f"workload.path={path}", "clock.ns_per_instruction=10us", "epoch.accesses=null",
             "reclaim=senpai", "reclaim.ratio=0.05", "reclaim.most=0.1", "clock.quantum=10", "reclaim/replacement=lru"]  # fmt: skip
    calm = plain(*words, "reclaim.period=2ms", "reclaim.threshold=1.0")
    resident, fraction = 200.0, 0.0
    for _ in range(9):  # while the first 200 pages come, two periods begin, of the other 20 ms ten
        fraction += resident * 0.05
        resident, fraction = resident - int(fraction), fraction % 1
    assert calm["vms"][0]["resident_pages"] == pytest.approx(resident, abs=12)
    assert calm["major_faults"] == 0
    fast = plain(*words, "reclaim.period=200us", "reclaim.threshold=0.01")
    assert 45 <= fast["vms"][0]["resident_pages"] <= 60
    assert fast["swap_out_pages"] > 140
    greedy = plain(*words, "reclaim.period=200us", "reclaim.threshold=1.0")
    assert greedy["stall_ns"] > fast["stall_ns"]  # pressure is what holds it back


def test_cold_pages_go_that_nobody_wants_back(plain: Checker, tmp_path: Path) -> None:
    """Of 200 pages 50 are used all the time and 30 in every third period; only the other 120 go, at an age at which none came back."""
    often, seldom = [*range(50)], [*range(50, 80)]
    path = write_pages(tmp_path / "cold.parquet", [*range(200), *[*seldom, *often * 6] * 12])
    words = ["mmu=native", "workload=trace", f"workload.path={path}", "clock.ns_per_instruction=10us", "epoch.accesses=null",
             "clock.quantum=10", "reclaim=cold_age", "reclaim/replacement=lru", "reclaim/compression=none",
             "reclaim.period=1100us", "reclaim.after=12ms"]  # fmt: skip
    found = plain(*words, "reclaim.largest=4096")
    assert (found["aged_evictions"], found["major_faults"]) == (120, 0)
    assert found["vms"][0]["resident_pages"] == 80
    assert found["vms"][0]["cold_pages"] >= 120
    assert 0 < plain(*words)["aged_evictions"] < 120  # what compresses badly stays


def test_least_age_that_would_have_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Promotions at and beyond the age stay within the share of the working set, and a bad period isn't forgotten soon."""
    for name in ("least_age", "usual_age"):
        monkeypatch.setattr(cold_age, name, getattr(getattr(cold_age, name), "py_func", getattr(cold_age, name)))
    state = cold_age.make(1, 0, "120s", 0.002, 0.9, 2990, "1s")
    state.promotions[0, [0, 1, 2, 5, 9]] = 9_900, 60, 20, 15, 5  # of 10,000, 40 may come back in two minutes
    assert cold_age.least_age(state, 0, 2.0) == 2
    assert cold_age.least_age(state, 0, 1.0) == 3
    assert cold_age.least_age(state, 0, 0.0) == 10
    state.promotions[0] = 0
    assert cold_age.least_age(state, 0, 2.0) == 1
    state.enough[0, [1, 7]] = 19, 1
    assert cold_age.usual_age(state, 0) == 1
    state.enough[0, 7] = 3
    assert cold_age.usual_age(state, 0) == 7


def test_what_is_not_modelled_is_said() -> None:
    """A knob of the real thing is named as such, and is no option."""
    assert (
        unmodelled("reclaim.sharing.merge_across_nodes")
        == "ksm's merge_across_nodes is not modelled (pages are merged wherever they are)"
    )
    assert unmodelled("reclaim.replacement.min_ttl_ms").startswith("mglru's")
    assert unmodelled("reclaim.sharing.pages_to_scn") == unmodelled("guest.swap") == unmodelled("nothing") == ""
    for group, family in FAMILIES.items():
        for policy in names(family):
            module = importlib.import_module(f"memvirt.{family}.{policy}")
            text = (Path(module.__file__ or "").parents[2] / f"conf/{group.replace('.', '/')}/{policy}.yaml").read_text()
            assert not any(f"\n{name}:" in text for name in getattr(module, "NOT_MODELLED", {}))
