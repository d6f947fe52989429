"""What things cost: a look-up found or not, so that a larger TLB is never the dearer one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memvirt import memory, tlb
from memvirt.tlb import Tlb
from memvirt.types import Traits
from tests.support import composed, row, trace, write_pages
from tests.test_naive import memory_config

few = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


@few
@given(st.lists(st.integers(0, 40), min_size=1, max_size=300), st.integers(0, 3), st.integers(0, 9), st.integers(1, 24))
def test_more_ways_never_cost_more(pages: list[int], first: int, second: int, walk: int) -> None:
    """At equal sets, of an L2's LRU ways, whatever look-ups and walks take."""
    run = trace(pages)
    machine = memory.run(memory_config(), [run])
    cycles = []
    for ways in range(1, 7):
        sizes = ["tlb.l1_4k.entries=4", "tlb.l1_4k.ways=2", f"tlb.l2.entries={4 * ways}", f"tlb.l2.ways={ways}"]
        takes = [f"tlb.l1_4k.hit_cycles={first}", f"tlb.l2.hit_cycles={second}"]
        config = Tlb.model_validate(composed("tlb=reference", *sizes, *takes)["tlb"])
        found = tlb.run(config, Traits(dimensions=1), [run], machine.space, machine.schedule, machine.shootdowns)
        counts = dict(zip(found.counters.names, found.counters.values.sum(axis=(0, 1)).tolist(), strict=True))
        cycles.append(counts["tlb_cycles"] + walk * counts["l2_tlb_misses"])
    assert cycles == sorted(cycles, reverse=True)


def test_a_larger_l2_is_cheaper() -> None:
    """4,096 pages, uniform, tables in the L1D: a walk takes 5 cycles, but comes after the L2's 9."""
    common = ["workload=uniform", "workload.footprint=16MiB", "workload.accesses=100000", "mmu=native", "cache=pte",
              "guest.prefault=true", "tlb=skylake"]  # fmt: skip
    small, middle, large = (row(*common, f"tlb.l2.entries={128 * ways}", f"tlb.l2.ways={ways}") for ways in (12, 24, 48))
    assert small["l2_tlb_misses"] > middle["l2_tlb_misses"] > large["l2_tlb_misses"]
    assert small["cycles"] > middle["cycles"] > large["cycles"]
    assert small["tlb_cycles"] == middle["tlb_cycles"] == large["tlb_cycles"]


@pytest.mark.parametrize(("preset", "entries"), [("haswell", 1024), ("skylake", 1536), ("zen3", 2048)])
def test_cost_rises_past_the_reach(preset: str, entries: int, tmp_path: Path) -> None:
    """A random chase with a stride of a page (T13: clocks rise where the L2 TLB's reach is passed; modulo needs whole sets)."""
    cycles = []
    for pages in (entries // 2, entries * 2):
        chase = np.tile(np.random.default_rng(1).permutation(pages), 6)
        path = write_pages(tmp_path / f"{pages}.parquet", chase.tolist())
        got = row("workload=trace", f"workload.path={path}", "workload.warmup=0.5", "mmu=native", "cache=pte", "guest.prefault=true",
                  f"tlb={preset}")  # fmt: skip
        cycles.append(got["cycles"] / got["accesses"])
    assert cycles[0] < cycles[1]
