"""Fixtures."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from memvirt.jit import Compiled, compilations
from tests.plain import Checker
from tests.traces import SHA256, addresses


@pytest.fixture(scope="session")
def reference_traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the reference traces as raw addresses."""
    folder = tmp_path_factory.mktemp("traces")
    for name in SHA256:
        addresses(name).astype("<u8").tofile(folder / f"{name}.bin")
    return folder


@pytest.fixture(autouse=True)
def no_figure_open() -> Iterator[None]:
    """No test leaves a figure open for the next: pyplot keeps them all."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(scope="session")
def plain() -> Iterator[Checker]:
    """The memory room in plain Python, checked as it goes."""
    checker = Checker()
    yield checker
    checker.process.kill()


MIXES = Path(__file__).with_name("mixes.txt")  #: mixes of policies that the suite compiles the memory room for
_compiled_before = pytest.StashKey[int]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Note how long the log of compilations is."""
    log = compilations()
    session.config.stash[_compiled_before] = log.stat().st_size if log.exists() else 0


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was compiled meanwhile, by these tests and what they started, and which mixes of policies are new to the suite."""
    log = compilations()
    if not log.exists():
        return
    with log.open() as file:
        file.seek(config.stash[_compiled_before])
        compiled = [Compiled.read(line) for line in file]
    terminalreporter.section("compiling")
    terminalreporter.line(f"{len(compiled)} kernels, {sum(each.seconds for each in compiled):.0f} CPU-s")
    known = set(MIXES.read_text().splitlines())
    for mix in sorted({each.policies for each in compiled if each.kernel == "memvirt.memory.tasks.do_task"} - known):
        seconds = sum(each.seconds for each in compiled if each.policies == mix)
        terminalreporter.line(
            f"a mix of policies that is not in {MIXES.name}, {seconds:.0f} CPU-s: choose one that is, or add it\n  {mix}"
        )
