"""What a sweep says on its way."""

from __future__ import annotations

import fcntl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

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
    assert " left" not in told
    compiles[0] = 0
    for second in range(61, 81):
        clock[0] = float(second)
        watch.more(2)
        watch(engine)
    last = capsys.readouterr().err.splitlines()[-1]
    assert "compiling" not in last
    assert "2.0/s, 30 s left" in last


def test_who_compiles_holds_a_lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A lock that nobody holds, of a process that was killed, is no compilation."""
    with (tmp_path / "of-a-kernel.lock").open("w") as lock:
        monkeypatch.setattr(jit, "kernel_folder", lambda: tmp_path)
        assert jit.compiling() == 0
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert jit.compiling() == 1
