"""Each room of one nested point, after compilation; one reference is one access of the trace."""

from __future__ import annotations

from typing import Any

import pytest

from memvirt.pipeline.compute import compute
from tests.benchmarks.rooms import build, chain

TRACES = {
    "sqlite": ["workload=sqlite"],
    "gcc": ["workload=gcc"],
    "cpython": ["workload=cpython"],
    "chase": ["workload=pointer_chase", "workload.footprint=64MiB", "workload.accesses=1000000"],
    "gups": ["workload=gups", "workload.footprint=256MiB", "workload.accesses=1000000"],
}
#: The comparison with the nested-walk simulator has its walk caches on.
SET_UP = ["experiment=nested_reference", "mmu.pwc.enabled=true"]


@pytest.mark.parametrize("room", ["memory", "tlb", "mmu", "cost"])
@pytest.mark.parametrize("trace", TRACES)
def test_room(benchmark: Any, trace: str, room: str) -> None:
    """Seconds of a stage."""
    accesses = 0
    for step in chain(build([*SET_UP, *TRACES[trace]])):
        if step.room == "workload":
            accesses = compute(*step)[0]["trace"].accesses
        if step.room == room:
            benchmark.pedantic(compute, args=step, rounds=5, warmup_rounds=1)
            benchmark.extra_info["million references a second"] = round(accesses / benchmark.stats["min"] / 1e6, 2)
            return
    raise AssertionError(f"a point has no {room} room of its own")
