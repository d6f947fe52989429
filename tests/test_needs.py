"""What a stage will take is told before it is run: its arrays' bytes, and a point that can't fit is a row that says what would."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import memvirt
from memvirt import memory, workload
from memvirt.memory import layout, setup
from memvirt.pipeline import needs
from memvirt.pipeline.layout import graph
from tests.support import point


def held(value: object) -> int:
    """Bytes of all arrays in it."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    return sum(map(held, value)) if isinstance(value, tuple) else 0


@pytest.mark.parametrize("words", ["", "reclaim=esx overcommit.ratio=1.5", "reclaim=linux overcommit.ratio=2 vms.memory=120MiB"])
def test_bytes_are_those_of_the_arrays(words: str) -> None:
    """Of what the memory room really makes, within a quarter, under policies that keep little and much of each frame."""
    made = point("workload=uniform", "workload.accesses=120000", "workload.footprint=96MiB", "vms.count=2", *words.split())
    stages = list(graph(made))
    stage = next(each for each in stages if each.room == "memory")
    traces = [workload.load(member.workload, vm) for vm, member in enumerate(made.member(vm) for vm in range(2))]
    assert [needs.pages_of(each.config.value) for each in stage.inputs] == pytest.approx(
        [trace.pages.vpn.size for trace in traces], rel=0.02
    )
    config = memory.MemoryConfig.model_validate(stage.config.value)
    pages = layout.lay_out_pages(config, traces)
    world = setup.build(config, traces, pages, layout.lay_out_frames(config, pages))
    told = needs.bytes_needed(stage.config.value, [trace.pages.vpn.size for trace in traces])
    assert told == pytest.approx(held(world) + 2 * held(pages), rel=0.25)


def test_a_point_that_cant_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Is a row with the reason and with what would fit; dry_run says so before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(needs, "available", lambda: 1 << 20)
    words = (
        "workload=uniform",
        "workload.accesses=4000",
        "workload.footprint=96MiB",
        "vms.count=8",
        "executor=serial",
        "name=big",
    )
    memvirt.run_sweep(*words, "dry_run=true", quiet=False)
    assert "don't fit, and their points will say so" in capsys.readouterr().out
    rows = memvirt.run_sweep(*words).results
    assert set(rows["status"]) == {"error"}
    assert (
        rows["error"]
        .str.contains(r"needs about .* of memory, and a worker here has 1 MiB: .* times the memory and footprint.* would fit")
        .all()
    )


def test_pages_that_are_never_touched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Have arrays, and take time only where `guest.prefault=all` maps them."""
    words = ("workload=gups", "workload.footprint=4GiB", "workload.accesses=1000")
    made = point(*words)
    stage = next(each for each in graph(made) if each.room == "workload")
    assert needs.pages_of(stage.config.value) == workload.load(made.member(0).workload, 0).pages.vpn.size == 1 << 20
    monkeypatch.chdir(tmp_path)
    told = []
    for prefault in ("true", "all"):
        memvirt.run_sweep(*words, f"guest.prefault={prefault}", "dry_run=true", quiet=False)
        told.append(re.search(r"about ([\d,]+) CPU-s, .*\nmemory: .*, at most (\d+) MiB for the arrays", capsys.readouterr().out))
    (seconds, size), (more, same) = (each.groups() for each in told if each)
    assert float(seconds) < 1 < float(more)
    assert size == same
    assert float(size) > 200
