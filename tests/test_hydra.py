"""Hydra as its users know it: what they write works, or is refused in a line (`tests/test_errors.py`)."""

from __future__ import annotations

from pathlib import Path

import pytest

import memvirt
from memvirt.sweep.call import Call, read_call
from memvirt.sweep.plan.words import plainly

OWN = """# @package _global_
defaults:
  - override /mmu: native
workload:
  path: {path}
hydra:
  sweeper:
    params:
      mmu: [native, shadow]
      guest.prefault: [true, false]
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own options, seen from the folder above it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf/experiment").mkdir(parents=True)
    (tmp_path / "conf/experiment/own.yaml").write_text(OWN.format(path="null"))
    (tmp_path / "conf/mmu").mkdir()
    (tmp_path / "conf/mmu/mine.yaml").write_text("defaults: [nested]\nhost_ad: false\n")
    return tmp_path / "conf"


def called(*words: str) -> Call:
    with plainly(words):
        return read_call(words)


def swept(call: Call) -> dict[str, tuple[str, ...]]:
    return {axis.key: axis.texts for axis in call.axes}


@pytest.mark.parametrize("place", ["--config-dir={}", "hydra.searchpath=[file://{}]"])
def test_options_of_ones_own(own: Path, place: str) -> None:
    """From either place; values as YAML lists are an axis; the command that goes on names the place again."""
    call = called(place.format(own), "experiment=own")
    assert swept(call) == {"mmu": ("native", "shadow"), "guest.prefault": ("True", "False")}  # as Hydra writes them
    assert len(call.plan()) == 4
    assert str(own) in call.command("x", [])
    assert memvirt.make_point(place.format(own), "mmu=mine").mmu.host_ad is False


def test_the_working_folder(own: Path) -> None:
    """On the command line, and in a file."""
    (own.parent / "a=b.u32").write_bytes(bytes(4096 * 4))
    given = memvirt.make_point("workload=trace", "workload.path=${hydra:runtime.cwd}/a=b.u32")
    assert given.workload.path == str(own.parent / "a=b.u32")
    assert memvirt.make_point("workload=trace", "workload.path=a=b.u32").workload.path == "a=b.u32"
    (own / "experiment/own.yaml").write_text(OWN.format(path="${hydra:runtime.cwd}/a=b.u32"))
    point = memvirt.make_point(f"--config-dir={own}", "experiment=own", "workload=trace", "mmu=native", "guest.prefault=true")
    assert point.workload.path == str(own.parent / "a=b.u32")


def test_an_array_s_own_keys() -> None:
    """Those that a preset needn't name: with or without Hydra's plus, and swept."""
    for word in ("tlb.l1_4k.index=xor", "+tlb.l1_4k.index=xor", "++tlb.l1_4k.index=xor"):
        assert memvirt.make_point(word).tlb.arrays["l1_4k"].index == "xor"
    plan = called("tlb.l1_4k.index=modulo,xor", "mmu=native,nested").plan()
    assert [plan.point(number)[0].tlb.arrays["l1_4k"].index for number in range(4)] == ["modulo", "modulo", "xor", "xor"]
    assert list(plan.varied(0)) == ["tlb.l1_4k.index", "mmu"]


@pytest.mark.parametrize("word", ["hydra.mode=RUN", "hydra/sweeper=basic", "hydra/launcher=basic", "-m"])
def test_how_hydra_would_run_it(word: str) -> None:
    """A sweep is always one, and its own."""
    assert swept(called(word, "mmu=native,nested")) == {"mmu": ("native", "nested")}
    assert swept(called(word, "mmu=glob(nat*)")) == {"mmu": ("native",)}


def test_an_experiment_says_how_it_runs(own: Path) -> None:
    """Replicates and limits of time in its file hold, unless the command line has others."""
    file = own / "experiment/own.yaml"
    file.write_text(file.read_text() + "replicates: 3\ntimeout: 99s\n")
    for more, replicates, seconds in (((), 3, 99), (("replicates=2", "timeout=5s"), 2, 5)):
        call = called(f"--config-dir={own}", "experiment=own", *more)
        assert call.plan().replicates == replicates
        assert call.settings.timeout == seconds * 1e9
