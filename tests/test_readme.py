"""The README is true: its links lead somewhere, its commands run."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from memvirt.experiments import claims
from memvirt.experiments import names as experiments
from memvirt.policy import names
from memvirt.workload.names import recorded
from tests.support import command, here

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
LATER = [line for block in BLOCKS[2:] for line in block.strip().splitlines()]


def test_links() -> None:
    """Of the README and of what it links to."""
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "cluster/README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text()):
            assert (path.parent / target).exists(), (path, target)


def test_policies_are_listed() -> None:
    """Every policy that there is stands in the table."""
    for family in (
        "mmu.mode",
        "tlb.replacement",
        "memory.reclaim",
        "memory.replacement",
        "memory.placement",
        "memory.scheduler",
        "memory.migration",
        "sweep.design",
        "sweep.study",
        "workload.synthetic",
    ):
        for name in names(family):
            assert f"`{name}`" in TEXT, (family, name)
    for name in recorded():
        assert f"`{name}`" in TEXT


def test_commands(tmp_path: Path) -> None:
    """Those below the two that install, one after the other, on shorter traces."""
    assert len(LATER) == 10
    for line in LATER:
        words = shlex.split(line)
        assert words[:2] == ["python", "-m"]
        if "record" in words and shutil.which("valgrind") is None:
            pytest.skip("recording needs Valgrind")
        more = ["workload.accesses=20000", "executor=serial"] if words[2] == "memvirt.sweep" else []
        run = command if line == LATER[0] else here
        done = run(words[2], *words[3:], *more, cwd=tmp_path)
        assert done.returncode == 0, (line, done.stderr)
    assert (tmp_path / "mine.pdf").exists()
    assert (tmp_path / "outputs/ls/results.csv").exists()


def test_known_misses_are_told() -> None:
    """The page on validation names each experiment of which a number is known to be missed, before it says what holds."""
    missed = (ROOT / "docs/validation.md").read_text().partition("## What holds")[0]
    for name in experiments():
        if any(claim.note for claim in claims(name)):
            assert f"experiments/{name}/README.md" in missed, name
