"""A kept stage or kernel can't be stale: digests follow every module that an outcome hangs on, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import memvirt
from memvirt import code
from memvirt.pipeline.rooms import CALLERS, ROOMS, room_code

HERE = Path(memvirt.__file__).parent


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """The sources in a folder where they can be edited; a function that forgets what was read of them."""
    shutil.copytree(HERE, tmp_path / "memvirt", ignore=shutil.ignore_patterns("*.parquet", "__pycache__", "conf", "experiments"))
    monkeypatch.setattr(code, "_roots", lambda: {"memvirt": tmp_path / "memvirt"})

    def forget() -> None:
        for each in (code._read, code.reach, code.code_digest, code.own_digest, room_code):
            each.cache_clear()

    code._origin.cache_clear()
    forget()
    yield forget  # type: ignore[misc]
    monkeypatch.undo()
    code._origin.cache_clear()
    forget()


def edited(path: Path, forget: Callable[[], None], change: Callable[[str], str], room: str) -> str:
    """Digest of a room's code while one file is changed."""
    before = path.read_text()
    path.write_text(change(before))
    forget()
    try:
        return room_code(room)
    finally:
        path.write_text(before)
        forget()


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_every_module_counts_and_no_docstring_does(room: str, copied: Callable[[], None], tmp_path: Path) -> None:
    """Each module that a room's stage imports changes the room's digest with its code, and not with its docstring."""
    whole = room_code(room)
    modules = [*code.reach(ROOMS[room].code), *CALLERS, ROOMS[room].run.__module__]
    assert len(modules) > 4
    for module in modules:
        path = code._origin(module)
        assert path is not None and path.is_relative_to(tmp_path)
        assert edited(path, copied, lambda text: text + "\nCHANGED = 1\n", room) != whole, module
        assert edited(path, copied, lambda text: '"""Another docstring."""\n' + text.replace('"""', '"""So: ', 1), room) == whole, (
            module
        )


def test_a_policy_outside_the_chain_of_imports_counts(copied: Callable[[], None], tmp_path: Path) -> None:
    """Policies are found by the names of their files: a new file in a family's folder is another code."""
    whole = room_code("tlb")
    (tmp_path / "memvirt/tlb/replacement/newest.py").write_text("ANSWER = 42\n")
    code._origin.cache_clear()
    copied()
    assert room_code("tlb") != whole
    assert "memvirt.tlb.replacement.newest" in code.reach(ROOMS["tlb"].code)


def test_a_file_that_changed_after_it_was_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process runs isn't taken for what its files say by now, by kernels (a checkout beneath a run) or stages."""

    def digest() -> str:
        for each in (code._read, code.reach, code.code_digest):
            each.cache_clear()
        return code.code_digest("memvirt.mmu.port", with_policies=False)

    whole = digest()
    monkeypatch.setattr(code, "STARTED", (HERE / "types.py").stat().st_mtime - 1)
    assert digest() != whole
    monkeypatch.undo()
    assert digest() == whole


def test_docs_of_declarations_do_not_count() -> None:
    """What is given as ``doc=`` is for people."""
    path = HERE / "types.py"
    one, other, third = (
        code._parse(text, "memvirt.types", path).own for text in (b"f(1, doc='a')", b"f(1, doc='b')", b"f(2, doc='a')")
    )
    assert one == other != third


EDIT = """
import sys
from numba.core import event
from tests.support import rows

class Count(event.Listener):
    times = 0
    def on_start(self, _):
        Count.times += 1
    def on_end(self, _):
        pass

with event.install_listener("numba:compile", Count()):
    (row,) = rows("mmu=native", "workload=uniform", "workload.accesses=2000", "workload.footprint=1MiB", "tlb/replacement=fifo")
print(row["l1_tlb_misses"], Count.times)
"""


def test_kernels_are_shared_by_folders_and_follow_edits(tmp_path: Path) -> None:
    """Sources elsewhere load what was compiled here; an edited policy compiles again, and gives its own answers."""

    def run(place: Path) -> tuple[int, int]:
        environment = {**os.environ, "PYTHONPATH": str(place)}
        done = subprocess.run([sys.executable, "-c", EDIT], cwd=place, env=environment, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stderr
        misses, compiled = map(int, done.stdout.split())
        return misses, compiled

    root = HERE.parent
    misses, _ = run(root)
    for part in ("memvirt", "hydra_plugins", "tests"):
        shutil.copytree(root / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__", "benchmarks", "data"))
    assert run(tmp_path) == (misses, 0)
    policy = tmp_path / "memvirt/tlb/replacement/fifo.py"
    policy.write_text(policy.read_text() + "\n# a comment\n")
    assert run(tmp_path) == (misses, 0)
    hierarchy = tmp_path / "memvirt/tlb/hierarchy.py"
    text = hierarchy.read_text()
    assert "l1_tlb_misses += misses" in text
    hierarchy.write_text(
        text.replace("l1_tlb_misses += misses", "l1_tlb_misses += misses + 1", 1) + f"\nNEVER_BEFORE = {time.time_ns()}\n"
    )
    wrong, compiled = run(tmp_path)
    assert wrong != misses
    assert 0 < compiled < 60  # the TLBs' alone


def test_compiling_leaves_numba_as_it_was() -> None:
    """Importing a kernel changes no setting of numba's for others in this process."""
    words = "import numba\nbefore = numba.config.CACHE_DIR\nimport memvirt.tlb\nassert numba.config.CACHE_DIR == before"
    subprocess.run([sys.executable, "-c", words], check=True, timeout=120)
