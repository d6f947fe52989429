"""What papers print of counters: quotients, and slowdowns of epochs."""

from __future__ import annotations

import numpy as np
import pytest

from memvirt.policy import names
from memvirt.result.derived import baseline_by_epoch, of_counts
from tests.support import rows

SMALL = ("workload=zipf", "workload.accesses=1500", "workload.footprint=1MiB", "vms.count=2", "epoch.accesses=500")


def test_quotients() -> None:
    """Each of two sums, and NaN where there is nothing to divide by."""
    counts = {
        "accesses": 400,
        "instructions": 2000,
        "l1_tlb_misses": 30,
        "l2_tlb_misses": 10,
        "walks": 10,
        "walk_refs_guest": 40,
        "walk_refs_host": 200,
    }
    cycles = {"walk_pending_cycles": 800.0, "walk_cycles": 600.0, "slowdown": 1.25}
    both = {name: np.array([value, 0 * value]) for name, value in (counts | cycles).items()}
    found = {name: value.tolist() for name, value in of_counts(both).items()}
    assert {name: first for name, (first, _) in found.items()} == {
        "l1_tlb_mpki": 15, "l2_tlb_mpki": 5, "refs_per_walk_mean": 24, "cycles_per_walk_mean": 80, "walk_pending_cycles_per_access": 2,
        "walk_cycles_per_access": 1.5, "overhead": 25,
    }  # fmt: skip
    assert all(np.isnan(second) for name, (_, second) in found.items() if name != "overhead")


def test_epochs_that_end_elsewhere() -> None:
    """The baseline's cycles of the same instructions: 10 an instruction in the first 100, 30 in the next."""
    own = np.array([[9.0, 50.0, 100.0, 50.0, 0.0]])
    alone = {"base_cycles": np.array([[7.0, 100.0, 100.0]]), "cycles": np.array([[7.0, 1000.0, 3000.0]])}
    np.testing.assert_allclose(baseline_by_epoch(own, [alone]), [[0, 500, 2000, 1500, 0]])
    free = {"base_cycles": np.zeros((1, 3)), "cycles": alone["cycles"]}
    np.testing.assert_allclose(baseline_by_epoch(0 * own, [free]), [[0, 4000, 0, 0, 0]])
    equal = {"base_cycles": own, "cycles": np.array([[0.0, 0.1, 0.2, 0.3, 0.0]])}
    assert baseline_by_epoch(own, [equal]).tolist() == equal["cycles"].tolist()


def test_a_native_point_is_not_slowed_in_any_epoch() -> None:
    """Whatever phases its program has."""
    for each in rows("mmu=native", "guest.prefault=true", *SMALL):
        assert each["slowdown"] == 1
        assert each["slowdown_p50"] == 1
        assert each["slowdown_peak"] == 1


@pytest.mark.parametrize("mode", sorted({"native", "nested", "shadow", "agile", "pom_tlb"} & set(names("mmu.mode"))))
def test_references_of_a_walk_are_those_of_the_histogram(mode: str) -> None:
    """The mean is that of `refs_per_walk`."""
    for each in rows(f"mmu={mode}", *SMALL):
        walks = [[int(part) for part in pair.split(":")] for pair in each["refs_per_walk"].split()]
        assert each["refs_per_walk_mean"] == pytest.approx(sum(refs * times for refs, times in walks) / each["walks"])
