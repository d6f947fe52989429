"""What papers print of counters: quotients, and slowdowns of epochs."""

from __future__ import annotations

import numpy as np
import pytest

from memvirt.policy import names
from memvirt.result.derived import epoch_slowdowns, of_counts, quantiles
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
    own = {"base_cycles": np.array([[50.0, 100.0, 50.0, 0.0]]), "cycles": np.array([[500.0, 4000.0, 3000.0, 7.0]])}
    alone = {"base_cycles": np.array([[100.0, 100.0]]), "cycles": np.array([[1000.0, 3000.0]])}
    found = epoch_slowdowns(own, [alone])
    np.testing.assert_allclose(found, [[1, 2, 2, np.nan]])
    assert {name: value.tolist() for name, value in quantiles(found).items()} == {
        "epoch_slowdown_p50": [2],
        "epoch_slowdown_p99": [2],
    }


def test_a_native_point_is_not_slowed_in_any_epoch() -> None:
    """Whatever phases its program has."""
    for each in rows("mmu=native", "guest.prefault=true", *SMALL):
        assert each["slowdown"] == 1
        assert each["epoch_slowdown_p50"] == pytest.approx(1, rel=1e-12)
        assert each["epoch_slowdown_p99"] == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("mode", sorted({"native", "nested", "shadow", "agile", "pom_tlb"} & set(names("mmu.mode"))))
def test_references_of_a_walk_are_those_of_the_histogram(mode: str) -> None:
    """The mean is that of `refs_per_walk`."""
    for each in rows(f"mmu={mode}", *SMALL):
        walks = [[int(part) for part in pair.split(":")] for pair in each["refs_per_walk"].split()]
        assert each["refs_per_walk_mean"] == pytest.approx(sum(refs * times for refs, times in walks) / each["walks"])
