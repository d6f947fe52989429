"""Faults of the memory room, and libCacheSim's replacement on the same pages: both CLOCK, both with half of the footprint.

libCacheSim does the replacement alone; the memory room maps, unmaps, writes dirty pages out and counts as well. Both numbers of misses
stand in the JSON, so that the ratio of the times can be judged.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memvirt.pipeline.compute import compute
from memvirt.pipeline.rooms.outcome import by_name
from tests.benchmarks.rooms import build, chain

ACCESSES, PAGES = 1_000_000, 1 << 15
TRACES = {
    "sqlite": ["workload=sqlite"],
    "chase": ["workload=pointer_chase", f"workload.footprint={PAGES} pages", f"workload.accesses={ACCESSES}"],
    "gups": ["workload=gups", f"workload.footprint={PAGES} pages", f"workload.accesses={ACCESSES}"],
}
SET_UP = [
    "mmu=native", "cache=none", "tlb=skylake", "vms=identical", "numa=uma", "reclaim=swap", "reclaim/replacement=clock",
    "epoch.accesses=null",
]  # fmt: skip


def _pages(trace: str) -> tuple[np.ndarray[Any, Any], Any]:
    """The pages of a trace in the order of its accesses, and the memory room's stage with half as many frames as there are distinct ones."""
    first = next(chain(build([*SET_UP, *TRACES[trace]])))
    pages = np.concatenate([chunk.page for chunk in compute(*first)[0]["trace"].chunks])
    frames = f"overcommit.host_memory={len(np.unique(pages)) // 2} pages"
    return pages, next(step for step in chain(build([*SET_UP, *TRACES[trace], frames])) if step.room == "memory")


@pytest.mark.parametrize("trace", TRACES)
def test_fault(benchmark: Any, trace: str) -> None:
    """Nanoseconds of CPU time a major fault, all that a run does included."""
    _, step = _pages(trace)
    fields = benchmark.pedantic(compute, args=step, rounds=3, warmup_rounds=1)[0]
    counts = by_name(fields["counters"])
    major, minor = (int(counts[name].sum()) for name in ("major_faults", "minor_faults"))
    benchmark.extra_info |= {"major": major, "minor": minor, "ns a fault": round(benchmark.stats["min"] / (major + minor) * 1e9)}


@pytest.mark.parametrize("trace", TRACES)
def test_libcachesim(benchmark: Any, trace: str, tmp_path: Path) -> None:
    """The same pages by libCacheSim's CLOCK."""
    lib = pytest.importorskip("libcachesim")
    pages, _ = _pages(trace)
    record = struct.Struct("<IQIq")
    file = tmp_path / "pages.oracleGeneral.bin"
    file.write_bytes(b"".join(record.pack(0, int(page), 1, -1) for page in pages))
    size = len(np.unique(pages)) // 2

    def run() -> float:
        reader = lib.TraceReader(str(file), lib.TraceType.ORACLE_GENERAL_TRACE)
        return float(lib.Clock(size).process_trace(reader)[0])

    missed = benchmark.pedantic(run, rounds=3, warmup_rounds=1)
    misses = round(missed * len(pages))
    benchmark.extra_info |= {"misses": misses, "ns a miss": round(benchmark.stats["min"] / max(misses, 1) * 1e9)}
