"""What a sweep says on its way."""

from __future__ import annotations

import fcntl
import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from memvirt import jit
from memvirt.sweep import report
from memvirt.sweep.report import Voice, Watch


def test_what_remains_does_not_extrapolate_from_compiling(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A minute of compiling is told as such, and the minute's pace isn't taken for the sweep's."""
    clock, compiles = [0.0], [1]
    monkeypatch.setattr(report, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(report, "compiling", lambda: compiles[0])
    engine: Any = SimpleNamespace(running={}, tallies={})
    watch = Watch(Voice(True), 100, 0)
    for second in range(1, 61):
        clock[0] = float(second)
        watch(engine)
    told = capsys.readouterr().err
    assert "compiling kernels (first run only)" in told
    assert "remaining" not in told
    compiles[0] = 0
    for second in range(61, 81):
        clock[0] = float(second)
        watch.more(2)
        watch(engine)
    last = capsys.readouterr().err.splitlines()[-1]
    assert "compiling" not in last
    assert "elapsed 1:20, remaining 0:30; 2.0/s" in last


@pytest.mark.parametrize("state", [report.COMPILING, "running 2 memory, 14 tlb, 3 mmu, 120 cost"])
def test_the_live_view_fits(state: str) -> None:
    """At 80 columns nothing but what is running is cut; times are named and whole."""
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=80)
    bar = report.view("points", console)
    times = "elapsed 12:34" if state == report.COMPILING else "elapsed 12:34, remaining 1:02:03"
    bar.add_task("", total=1234, completed=1000, doing=state, times=times)
    console.print(bar.get_renderable())
    line = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", text.getvalue()).rstrip()
    assert len(line) <= 80
    assert re.search(r"^points .*1000/1234 " + times, line)
    assert (state if state == report.COMPILING else "running") in line


def test_who_compiles_holds_a_lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A lock that nobody holds, of a process that was killed, is no compilation."""
    with (tmp_path / "of-a-kernel.lock").open("w") as lock:
        monkeypatch.setattr(jit, "kernel_folder", lambda: tmp_path)
        assert jit.compiling() == 0
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert jit.compiling() == 1
