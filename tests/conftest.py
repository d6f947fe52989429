"""Fixtures."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Generator, Iterator
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
_begun = pytest.StashKey[float]()
_seconds_of_files = Counter[str]()  #: CPU seconds of each file's tests, with the processes that they started and waited for


def cpu_seconds() -> float:
    """CPU time of this process, of those that it waited for, and, where there is a /proc, of those that it started and that live."""
    ticks = 0
    for thread in Path("/proc/self/task").glob("*/children"):
        for child in thread.read_text().split():
            with contextlib.suppress(OSError):
                ticks += sum(map(int, Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return sum(os.times()[:4]) + ticks / os.sysconf("SC_CLK_TCK")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Note how long the log of compilations is."""
    log = compilations()
    session.config.stash[_compiled_before] = log.stat().st_size if log.exists() else 0


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note when a test begins."""
    item.stash[_begun] = cpu_seconds()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Have a test's last report say what the test took: ``--junitxml`` lists it."""
    if call.when == "teardown":
        item.user_properties.append(("cpu_seconds", round(cpu_seconds() - item.stash[_begun], 3)))
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up what the tests of a file took."""
    if report.when == "teardown":
        _seconds_of_files[report.location[0]] += dict(report.user_properties)["cpu_seconds"]  # type: ignore[assignment]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what the tests took, what was compiled by them and what they started, and which mixes of policies are new to the suite."""
    if terminalreporter.config.getoption("collectonly"):
        return
    terminalreporter.section("CPU seconds")
    largest = [f"{Path(file).stem.removeprefix('test_')} {seconds:.0f}" for file, seconds in _seconds_of_files.most_common(12)]
    terminalreporter.line(f"{_seconds_of_files.total():.0f} in all, without Ray's daemons; most in {', '.join(largest)}")
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
