"""A finished sweep's folder is never overwritten in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

import memvirt
from memvirt.errors import ConfigError
from memvirt.sweep import finished
from memvirt.sweep.cli import main

WORDS = ("workload=zipf", "workload.accesses=2000", "workload.footprint=1MiB", "name=mine", "executor=serial")


def sweep(*words: str) -> memvirt.api.Sweep:
    """Run one, out loud."""
    return memvirt.run_sweep(*WORDS, *words, quiet=False)


def test_a_finished_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The same is done already; another is refused, or put in its place when it is complete, without the old one's files."""
    monkeypatch.chdir(tmp_path)
    first = sweep("cpu.llc=9,12").results
    folder = tmp_path / "outputs/mine"
    (folder / "figures/own.png").touch()
    capsys.readouterr()
    assert len(sweep("cpu.llc=9,12").results) == 2
    assert "already done: outputs/mine holds 2 points, 2 rows, 0 failed" in capsys.readouterr().out
    for words in (["cpu.llc=9"], ["cpu.llc=9,13", "resume=true"]):
        with pytest.raises(ConfigError, match=r"name=mine: outputs/mine holds another sweep.*overwrite=true"):
            sweep(*words)
    assert memvirt.read("outputs/mine").results.equals(first)
    more = sweep("cpu.llc=9,12,15", "resume=true").results
    assert len(more) == 3
    other = sweep("cpu.llc=9", "overwrite=true", "figures=false")
    assert len(other.results) == 1
    assert not (folder / "figures").exists()
    assert "<b>mine</b>" in (folder / "report.html").read_text()
    assert not (folder / "figures/own.png").exists()
    assert [path.name for path in (tmp_path / "outputs").iterdir() if "mine" in path.name] == ["mine"]
    assert "overwrite" not in other.provenance["command"]
    sweep("cpu.llc=12", "overwrite=true", "figures=false", "report=false")
    assert not (folder / "report.html").exists()
    monkeypatch.setattr(finished, "all_code", lambda: "another")
    with pytest.raises(ConfigError, match="holds the same points computed by other code"):
        sweep("cpu.llc=12")


def test_one_point_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A key of one's own makes one point of base values, not a variation of the main job: that is told, with the way out."""
    monkeypatch.chdir(tmp_path)
    sweep("mmu=native", "dry_run=true")
    assert "experiment=default, with the same keys, varies the main job" in capsys.readouterr().err
    sweep("mmu=native,nested", "dry_run=true")
    assert "one point" not in capsys.readouterr().err
    assert main(["experiment=default", "mmu=native", "dry_run=true"]) == 0
    said, wrong = capsys.readouterr()
    assert "machine: generic, zen4" in said
    assert "one point" not in wrong
