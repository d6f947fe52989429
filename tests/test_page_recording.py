"""Recording pages: what is made of mappings and accessed pages; and a real program, where there are Linux and a C compiler."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from memvirt.errors import MemvirtError
from memvirt.trace import pages as recording
from memvirt.trace.agent import DUMP, NO_DUMP, build
from memvirt.trace.cli import main
from memvirt.trace.mappings import Mapping, joined
from memvirt.workload.life.pageset import read

PROGRAM = """
import time
b, end = bytearray(16 << 20), time.monotonic() + 1000
while time.monotonic() < end:
    for place in range(4 << 20, 8 << 20, 4096):
        b[place] = 1
    sum(b[8 << 20 : 12 << 20 : 4096])
"""


def mapping(first: int, pages: int, accessed: int = 0, resident: int = 1, writable: bool = True) -> Mapping:
    return Mapping(first << 12, (first + pages) << 12, writable, resident, accessed)


def test_visited_pages() -> None:
    """All of a piece, or as many as the kernel counted: those that were written, and the lowest others."""
    pieces = [mapping(10, 3, 3), mapping(20, 8, 3), mapping(40, 8, 0), mapping(50, 1, 1)]
    assert recording.visited(pieces, np.array([25, 27])).tolist() == [10, 11, 12, 20, 25, 27, 50]
    assert recording.visited(pieces, np.array([20])).tolist() == [10, 11, 12, 20, 21, 22, 50]
    assert recording.visited([], np.zeros(0, np.int64)).tolist() == []
    assert recording.runs(np.array([3, 4, 5, 9, 11, 12])) == [(3, 3), (9, 1), (11, 2)]
    assert recording.runs(np.zeros(0, np.int64)) == []
    assert recording.runs(np.array([0, 1])) == [(0, 2)]


def test_pages_are_numbered_densely() -> None:
    """By blocks of 2 MiB in the order of first visit, so that neighbours stay neighbours and tables stay small."""
    number = recording.Numbering()
    assert number(np.array([512 * 1000 + 5, 512 * 1000 + 6, 1 << 35])).tolist() == [5, 6, 512]
    assert number(np.array([3, 512 * 1000 + 7])).tolist() == [7, 1024 + 3]


def test_mappings_are_cut_by_address() -> None:
    """Neighbouring pieces differ wherever the mapping begins; what isn't resident, or fits into a piece, is left alone."""
    cut = recording.cuts([mapping(5, 6), mapping(11, 5), mapping(100, 2, resident=0), mapping(64, 4)], 4)
    assert [(start >> 12, size >> 12, what) for start, size, what in cut] == [
        (5, 3, NO_DUMP), (8, 3, DUMP), (11, 1, DUMP), (12, 4, NO_DUMP),
    ]  # fmt: skip
    assert recording.choose_grain([mapping(0, recording.MOST_PIECES, resident=9000)]) == 1
    assert recording.choose_grain([mapping(0, recording.MOST_PIECES + 1, resident=9000)]) == 2
    assert recording.choose_grain([mapping(0, 1 << 30, resident=9)]) == 1  # reserved, hardly used
    assert joined([mapping(1, 2), mapping(3, 2), mapping(9, 1)]) == [(1 << 12, 5 << 12), (9 << 12, 10 << 12)]


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("cc") is None, reason="needs Linux and a C compiler")
def test_a_program_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of its buffer is visited, half of that written; the table is one that a workload reads."""
    read_out, seen = recording.Recorder.read_out, []

    def look(self: recording.Recorder, begun: float, took: float) -> None:
        read_out(self, begun, took)
        seen.append(self)
        if len(seen) == 3:
            self.agent.process.kill()

    monkeypatch.setattr(recording.Recorder, "read_out", look)
    monkeypatch.setattr(recording, "FIRST_LOOK", 1.0)
    path = tmp_path / "life.csv"
    done = recording.record_pages([sys.executable, "-S", "-c", PROGRAM], path, 1.0)
    columns, _ = read(str(path))
    assert columns["time"].size == len(done.rows)
    last = columns["time"] == columns["time"].max()
    visited, written = columns["pages"][last].sum(), columns["written"][last].sum()
    assert 2048 <= visited < 4096
    assert done.grain == 1
    if done.sees_writes:
        assert 1024 <= written < 2048
    assert {"command", "writes", "not seen"} <= {line[2:].split(":")[0] for line in path.read_text().splitlines() if line[0] == "#"}


def test_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One line each."""
    for words, why in {
        "record --pages -o a.txt -- true": "NAME.csv or NAME.parquet",
        "record --pages -o a.csv -- no-such-command": "no command",
        "record --pages --limit 5 -o a.csv -- true": "--limit is of accesses",
        "record --pages --step 0 -o a.csv -- true": "--step=0",
    }.items():
        assert main(words.split()) == 2
        assert why in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MemvirtError, match="needs a C compiler"):
        build(tmp_path)
