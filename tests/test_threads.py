"""DynamoRIO's traces of several threads, a file each: of a folder or a zip file, one after the other by their timestamps."""

from __future__ import annotations

import gzip
import struct
import zipfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from memvirt.errors import TraceError
from memvirt.trace.cli import main
from memvirt.workload.batch import Batch, by_time
from memvirt.workload.files import read_file

#: Blocks of a thread: timestamp, and pages that are loaded, with an instruction each.
FIRST = [(100, [1, 2]), (300, [3]), (300, [4])]
SECOND = [(200, [11, 12, 13]), (300, [14]), (500, [15])]
ORDER = [1, 2, 11, 12, 13, 3, 4, 14, 15]


def thread(tid: int, pid: int, blocks: Sequence[tuple[int, list[int]]]) -> bytes:
    """A final trace of one thread."""
    entries = [(25, 0, 4), (28, 12, 4), (28, 9, 0x40), (22, 0, tid), (24, 0, pid)]
    for stamp, pages in blocks:
        entries += [(28, 2, 13_300_000_000_000_000 + stamp), (28, 3, 0)]
        for page in pages:
            entries += [(10, 4, 0x400000), (0, 8, page << 12)]
    return b"".join(struct.pack("<HHQ", *entry) for entry in [*entries, (23, 0, tid), (26, 0, 0)])


def folder(path: Path, pids: tuple[int, int] = (7, 7)) -> Path:
    """As drraw2trace leaves it, one file packed in the way of zip, the other by gzip."""
    (path / "trace").mkdir(parents=True)
    (path / "raw").mkdir()
    (path / "raw" / "modules.log").write_text("Module Table\n")
    (path / "trace" / "drmemtrace.app.1.trace.gz").write_bytes(gzip.compress(thread(1, pids[0], FIRST)))
    content = thread(2, pids[1], SECOND)
    with zipfile.ZipFile(path / "trace" / "drmemtrace.app.2.trace.zip", "w") as archive:
        archive.writestr("chunk.0001", content[:60])
        archive.writestr("chunk.0002", content[60:])
    (path / "trace" / "cpu_schedule.bin.zip").write_bytes(b"PK\x03\x04")
    return path


def test_threads_of_a_folder(tmp_path: Path) -> None:
    """In the order of their blocks' timestamps, a process one address space; instructions all count."""
    found = read_file(folder(tmp_path / "drmemtrace.app.dir"))
    assert found.vpn[found.accesses.page].tolist() == ORDER
    assert found.accesses.gap.tolist() == [1] * 9
    assert found.asid.tolist() == [0] * 9
    assert main(["import", str(tmp_path / "drmemtrace.app.dir"), "-o", str(tmp_path / "a.parquet")]) == 0
    assert read_file(tmp_path / "a.parquet").accesses.page.tolist() == found.accesses.page.tolist()


def test_processes_of_a_zip_file(tmp_path: Path) -> None:
    """Members that are traces, each packed as it likes; another process has pages of its own."""
    made = folder(tmp_path / "d", (7, 8))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for each in sorted(made.rglob("*.*")):
            archive.write(each, each.relative_to(tmp_path))
    found = read_file(tmp_path / "a.zip")
    assert found.vpn[found.accesses.page].tolist() == ORDER
    assert found.asid[found.accesses.page].tolist() == [int(page > 10) for page in ORDER]


def test_other_folders_are_refused(tmp_path: Path) -> None:
    """Without a trace in them, with another format's, with a damaged one."""
    with pytest.raises(TraceError, match="is a folder, not a trace file"):
        read_file(tmp_path)
    (tmp_path / "a.trace").write_text(" L 10,4\n L 20,4\n")
    with pytest.raises(TraceError, match="is a folder of 1 files of lackey"):
        read_file(tmp_path)
    made = folder(tmp_path / "d")
    (made / "trace" / "drmemtrace.app.3.trace").write_bytes(thread(3, 7, FIRST)[:-5])
    with pytest.raises(TraceError, match=r"app\.3\.trace, byte \d+: ends in mid-entry"):
        read_file(made)


def test_by_time_keeps_all(tmp_path: Path) -> None:
    """Whatever the pieces: as sorting by time, then stream, does."""
    rng = np.random.default_rng(4)
    streams, rows = [], []
    for number in range(4):
        time = np.sort(rng.integers(0, 40, 200)).astype(float)
        address = np.arange(200, dtype=np.uint64) + np.uint64(1000 * number)
        rows += list(zip(time.tolist(), [number] * 200, address.tolist(), strict=True))
        edges = [0, *sorted(set(rng.integers(1, 200, 9).tolist())), 200]
        zeros = np.zeros(200, np.uint8)
        whole = Batch(address, zeros, np.ones(200, np.int64), str, None, time)
        streams.append(iter([whole.part(low, high) for low, high in pairwise(edges)]))
    merged = list(by_time(streams))
    times = np.concatenate([batch.time for batch in merged if batch.time is not None])
    assert (np.diff(times) >= 0).all()
    assert sorted(np.concatenate([batch.address for batch in merged]).tolist()) == sorted(row[2] for row in rows)
    for number in range(4):
        mine = [place for batch in merged for place in batch.address.tolist() if place // 1000 == number]
        assert mine == sorted(mine)
