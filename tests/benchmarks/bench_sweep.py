"""What the sweep itself takes: planning, keying and handing out points whose stages are all the same few."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memvirt.sweep.call import read_call
from memvirt.sweep.plan.words import DEFAULT

AXES = ["cpu.memory={}", "mmu=native,nested", "machine=generic,zen4", "workload.accesses=1000"]


@pytest.mark.parametrize("points", [400, 4000])
def test_planning(benchmark: Any, points: int) -> None:
    """Milliseconds a point from a grid to its sections."""
    prices = ",".join(str(100 + place) for place in range(points // 4))
    words = [AXES[0].format(prices), *AXES[1:], "executor=serial"]

    def run() -> int:
        plan = read_call(words, [DEFAULT]).plan()
        return sum(len(plan.point(number)) > 0 for number in range(len(plan)))

    assert benchmark.pedantic(run, rounds=3, warmup_rounds=1) == points
    benchmark.extra_info["ms a point"] = round(benchmark.stats["min"] / points * 1e3, 3)


def test_sweep(benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Milliseconds a point of a sweep of 400 whose four distinct walks take next to nothing."""
    from memvirt.api import run_sweep

    monkeypatch.chdir(tmp_path)
    prices = ",".join(str(100 + place) for place in range(100))
    words = [AXES[0].format(prices), *AXES[1:], "executor=serial", "figures=false", "report=false", "reuse=false", "overwrite=true"]
    benchmark.pedantic(lambda: run_sweep(*words, name="sweep"), rounds=3, warmup_rounds=1)
    benchmark.extra_info["ms a point"] = round(benchmark.stats["min"] / 400 * 1e3, 2)
