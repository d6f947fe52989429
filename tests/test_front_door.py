"""What a stranger meets first: help, completion, and what is kept."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memvirt.__main__ import main
from memvirt.completion.words import candidates
from memvirt.sweep import help as told
from memvirt.sweep.plan.groups import find_groups


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """What a command prints."""
    assert main(words) == code
    out, wrong = capsys.readouterr()
    return wrong if code else out


def test_help_is_light() -> None:
    """Less than a second, and nothing of what simulates is loaded."""
    script = (
        "import sys; from memvirt.__main__ import main; main(['sweep', '--help']); main(['sweep', '--help', 'mmu']);"
        "assert not {'numba', 'pandas', 'numpy', 'hydra', 'ray'} & set(sys.modules), sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What it is, usage, examples, each group in a line with its base option and the main job's; at 80 columns too."""
    monkeypatch.setenv("COLUMNS", "80")
    text = said(capsys, "sweep", "--help")
    assert max(map(len, text.splitlines())) <= 80
    assert text.startswith("memvirt: what does")
    for group in find_groups([]):
        assert "/" in group or f"\n  {group:<10} " in text
    assert " identical four " in text
    keys = said(capsys, "sweep", "--help", "vms")
    assert "vms.count [VMs]  ≥ 1 and ≤ 4096; default 1, main job 4\n" in keys
    assert said(capsys, "sweep", "--help", "overcommit.ratio").startswith("overcommit.ratio [ratio]")
    assert "did you mean overcommit?" in said(capsys, "sweep", "--help", "overcomit", code=2)


def test_examples_are_overrides() -> None:
    """Each key of an example, and each word of its values that is an option, is one."""
    rows = {row.key: row for rows in told.tables().values() for row in rows}
    for words in told.EXAMPLES:
        for word in words.split()[2:]:
            assert word.partition("=")[0] in rows, word


def test_completion() -> None:
    assert {"sweep", "trace", "cache"} <= set(candidates([""]))
    assert candidates(["swe"]) == ["sweep"]
    assert "mmu=" in candidates(["sweep", "mm"])
    assert candidates(["sweep", "mmu=native,nes"]) == ["mmu=native,nested", "mmu=native,nested2"]
    assert "mmu=native,native" not in candidates(["sweep", "mmu=native,"])
    assert candidates(["sweep", "mmu.pwc.ena"]) == ["mmu.pwc.enabled="]
    assert candidates(["sweep", "mmu.pwc.enabled="]) == ["mmu.pwc.enabled=true", "mmu.pwc.enabled=false"]
    assert candidates(["sweep", "--help", "over"]) == ["overcommit"]
    assert "linux_ksm" in candidates(["reproduce", ""])


def test_a_shell_completes(tmp_path: Path) -> None:
    """Bash itself, with the script that it is given."""
    (tmp_path / "memvirt").write_text(f'#!/bin/sh\nexec {sys.executable} -m memvirt "$@"\n')
    (tmp_path / "memvirt").chmod(0o755)
    script = """
    PATH="$PWD:$PATH"; eval "$(memvirt completion bash)"
    COMP_LINE="memvirt sweep mmu=native,sha"; COMP_POINT=${#COMP_LINE}
    _memvirt; echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "native,shadow\n", done.stderr


def test_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Is counted, and thrown away: all of it, or what is old."""
    monkeypatch.setenv("MEMVIRT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    kernels = tmp_path / "cache/kernels"
    kernels.mkdir(parents=True)
    for name, age in (("old.nbc", 30), ("new.nbc", 0)):
        (kernels / name).write_bytes(bytes(1 << 20))
        when = time.time() - age * 86_400
        os.utime(kernels / name, (when, when))
    assert "2 files" in said(capsys, "cache")
    assert "thrown away: 1.0 MiB" in said(capsys, "cache", "clean", "--unused", "7")
    assert [path.name for path in kernels.iterdir()] == ["new.nbc"]
    said(capsys, "cache", "clean")
    assert "in all: 0.0 MiB" in said(capsys, "cache", "size")


def test_a_reader_that_has_enough(tmp_path: Path) -> None:
    """`| head` ends a command quietly."""
    for words in ("memvirt.sweep --help", "memvirt.completion bash"):
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {sys.executable} -m {words} | head -c 1 >/dev/null"], capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) in ((0, ""), (141, ""))


def test_a_long_list_of_choices_is_cut() -> None:
    """A table has hundreds of columns; the nearest are told."""
    from memvirt.errors import suggest

    told = suggest("zzz", [f"column_{number}" for number in range(300)])
    assert told.startswith("choose from 300, such as column_")
    assert told.count(",") < 15
    assert suggest("zzz", ["a", "b"]) == "choose from a, b"
