"""What a sweep leaves on disk: nothing computed is lost, nothing damaged is believed."""

from __future__ import annotations

import errno
import os
import random
import re
import resource
import shlex
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from memvirt.errors import WriteError
from memvirt.sweep.plan import todo
from memvirt.sweep.store import store as store_module
from memvirt.sweep.store import tables
from memvirt.sweep.store.block import failure, to_bytes
from memvirt.sweep.store.journal import MAGIC, Journal, encode, read_entries
from memvirt.sweep.store.store import Store
from tests.support import BARE, here, sweep
from tests.sweeps import SMALL, points_in, table

WORDS = [*SMALL, "mmu=native,shadow,nested", "tlb=skylake,zen4", "overcommit.ratio=1,1.3,1.6,1.9", "executor=serial", *BARE]


def fill(store: Store, begin: int, end: int) -> None:
    """Add points with two rows each."""
    for number in range(begin, end):
        store.add(failure(f"key {number}", "error", f"why {number}", 2), [(f"point {number}", f"key {number}")])


def rows(store: Store) -> dict[str, list[str]]:
    """Errors of each point that is done."""
    found: dict[str, list[str]] = {}
    for part in store.results():
        for row in part.to_pylist():
            found.setdefault(row["key"], []).append(row["error"])
    return {point: found[key] for point, key in store.points.items()}


def test_a_torn_journal(tmp_path: Path) -> None:
    """However a frame is cut or changed, those before it are read, and what is added later is read too."""
    about = {"code": "c", "points": []}
    whole = encode(about, None)
    for cut in (1, 10, len(whole) - 1):
        path = tmp_path / f"cut {cut}"
        journal = Journal(path)
        journal.add({**about, "n": 1}, None)
        journal.close()
        with path.open("ab") as file:
            file.write(whole[:cut])
        assert [entry.about["n"] for _, entry in read_entries(path)] == [1]
        journal = Journal(path)
        journal.add({**about, "n": 2}, None)
        journal.close()
        assert [entry.about["n"] for _, entry in read_entries(path)] == [1, 2]
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    assert [entry.about["n"] for _, entry in read_entries(path)] == [1]


def frame(
    text: str | bytes, results: bytes = b"", epochs: bytes = b"", texts: int | None = None, block: int | None = None
) -> bytes:
    """A frame whose checksum is right, whatever is in it."""
    text = text.encode() if isinstance(text, str) else text
    body = struct.pack("<II", len(text) if texts is None else texts, len(results) if block is None else block)
    return sealed(body + text + results + epochs)


def sealed(body: bytes) -> bytes:
    return struct.pack("<4sIII", MAGIC, len(body), 0, zlib.crc32(body)) + body


RIGHT = '{"code":"code","points":[["p","k"]]}'
BLOCK = failure("k", "error", "why", 1)
OTHER = to_bytes(pa.table({"key": ["k"], "status": ["ok"]}))
CUT = BLOCK.results[: len(BLOCK.results) // 2]
FRAMES = {
    "nothing": sealed(b""),
    "too short": sealed(b"123"),
    "longer than it is": frame(RIGHT, texts=1 << 30),
    "a block beyond its end": frame(RIGHT, block=1 << 20),
    "no JSON": frame("{"),
    "no text": frame(b"\xff\xfe"),
    "deep": frame("[" * 100_000),
    "a list": frame("[1]"),
    "nothing said": frame("{}"),
    "no code": frame('{"points":[]}'),
    "code a number": frame('{"code":1,"points":[]}'),
    "no points": frame('{"code":"code"}'),
    "points a number": frame('{"code":"code","points":3}'),
    "a point alone": frame('{"code":"code","points":[["p"]]}'),
    "a point of numbers": frame('{"code":"code","points":[[1,2]]}'),
    "no rows": frame(RIGHT, b"rubbish", BLOCK.epochs),
    "rows cut": frame(RIGHT, CUT, BLOCK.epochs),
    "no epochs": frame(RIGHT, BLOCK.results),
    "epochs of rubbish": frame(RIGHT, BLOCK.results, b"rubbish" * 9),
    "other columns": frame(RIGHT, OTHER, BLOCK.epochs),
    "rows for epochs": frame(RIGHT, BLOCK.results, BLOCK.results),
}


@pytest.mark.parametrize("bad", FRAMES.values(), ids=FRAMES)
def test_a_frame_with_wrong_content(bad: bytes, tmp_path: Path) -> None:
    """Its checksum is right, so it was written so: it is named as damage, its points are computed again, others are read."""
    store = Store(tmp_path, "code")
    store.open(resume=False)
    fill(store, 0, 1)
    store.close()
    path = tmp_path / "journal.bin"
    begin = path.stat().st_size
    with path.open("ab") as file:
        file.write(bad)
        file.write(encode({"code": "code", "points": [("last", "key last")]}, failure("key last", "error", "why last", 2)))
    for _ in range(2):
        store = Store(tmp_path, "code")
        store.open(resume=True)
        assert len(store.damaged) == 1
        assert store.damaged[0].startswith(f"journal.bin: its frame at byte {begin:,}: ")
        assert rows(store) == {"point 0": ["why 0"] * 2, "last": ["why last"] * 2}
        store.close()


def test_frames_of_rubbish(tmp_path: Path) -> None:
    """Whatever a frame's checksum vouches for, its points are there or its damage is named; nothing else happens."""
    body = encode({"code": "code", "points": [("p", "k")]}, BLOCK)[16:]
    draw = random.Random(11)
    named = 0
    for number in range(150):
        changed = bytearray(body)
        for _ in range(draw.choice((1, 1, 3, 20))):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "journal.bin").write_bytes(sealed(bytes(changed[: draw.choice((len(changed), draw.randrange(len(changed))))])))
        store = Store(folder, "code")
        store.open(resume=True)
        rows(store)
        list(store.epochs())
        named += bool(store.damaged)
        store.close()
    assert named > 75


def test_shards_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards that are named as ours and hold something else are damage; a table that isn't named so is in nobody's way."""
    monkeypatch.setattr(store_module, "SHARD_POINTS", 2)
    (tmp_path / "shards").mkdir()
    for other in (pa.table({"x": [1]}), pa.table({"point_id": ["p"], "key": ["k"]})):
        Store._write_part(tmp_path / "shards", "000001-points", other)
    (tmp_path / "shards" / "mine.parquet").write_bytes(b"")
    store = Store(tmp_path, "code")
    store.open(resume=True)
    assert len(store.damaged) == 2
    fill(store, 0, 3)
    store.close()
    assert list((tmp_path / "shards").glob("000002-points-*.parquet"))


def test_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Journal and shards together hold every point once; each damage is named and costs the points of its shard, no others."""
    monkeypatch.setattr(store_module, "SHARD_POINTS", 4)
    store = Store(tmp_path, "code")
    store.open(resume=False)
    fill(store, 0, 14)
    expected = rows(store)
    assert len(expected) == 14
    assert all(errors == [f"why {point.split()[1]}"] * 2 for point, errors in expected.items())
    store.close()
    shards = sorted((tmp_path / "shards").glob("*.parquet"))
    assert len(shards) == 3 * 3

    def reopened(code: str = "code") -> tuple[dict[str, list[str]], list[str]]:
        again = Store(tmp_path, code)
        again.open(resume=True)
        found, damaged = rows(again), again.damaged
        again.close()
        return found, damaged

    assert reopened() == (expected, [])
    assert reopened("other code")[0] == {}
    victim = next(path for path in shards if "000002-results" in path.name)
    before = victim.read_bytes()
    for damage in (before[:-20], before[:100] + bytes([before[100] ^ 4]) + before[101:], b"", None):
        _ = victim.unlink() if damage is None else victim.write_bytes(damage)
        found, damaged = reopened()
        assert found == {point: errors for point, errors in expected.items() if not 4 <= int(point.split()[1]) < 8}
        assert len(damaged) == 1
        assert "000002-points" in damaged[0]
        assert victim.name in damaged[0]
    victim.write_bytes(before)
    assert reopened() == (expected, [])
    again = Store(tmp_path, "code")
    again.open(resume=True)
    fill(again, 14, 20)
    assert len(rows(again)) == 20
    again.close()
    assert len(reopened()[0]) == 20


def test_points_that_crashed_are_tried_again(tmp_path: Path) -> None:
    """Errors are kept on a resume; crashes and timeouts are not, nor results of other code."""
    store = Store(tmp_path, "code")
    store.open(resume=False)
    for status in ("ok", "error", "crashed", "timeout"):
        store.add(failure(f"key {status}", status, "", 1), [(status, f"key {status}")])
    store.close()
    store = Store(tmp_path, "code")
    store.open(resume=True)
    assert set(store.points) == {"ok", "error"}
    store.close()


def test_a_sweep_in_shards_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut into small shards, windows and stretches, the tables don't change; a damaged shard is named and computed again."""
    sweep(*WORDS, "name=whole", cwd=tmp_path)
    monkeypatch.setattr(store_module, "SHARD_POINTS", 5)
    monkeypatch.setattr(todo, "WINDOW", 40)
    monkeypatch.setattr(tables, "STRETCH", 3)
    sweep(*WORDS, "name=parts", cwd=tmp_path)
    shards = sorted((tmp_path / "outputs/parts/shards").glob("*-results-*"))
    assert len(shards) >= 3
    for name in ("results.parquet", "epochs.parquet"):
        one, other = (pd.read_parquet(tmp_path / "outputs" / folder / name) for folder in ("whole", "parts"))
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    shards[1].write_bytes(b"not a shard")
    done = sweep(*WORDS, "name=parts", "resume=true", cwd=tmp_path)
    assert "damaged, and computed again" in done.stderr
    assert shards[1].name in done.stderr
    assert "of them from an earlier run" in done.stderr
    pd.testing.assert_frame_equal(table(tmp_path / "outputs/whole"), table(tmp_path / "outputs/parts"), check_exact=True)


def test_a_killed_driver_resumes(tmp_path: Path) -> None:
    """SIGKILL twice in the middle: the table in the end is that of a sweep that was never killed."""
    words = [*WORDS, "workload.accesses=60000", "overcommit.ratio=range(1,2.4,0.2)", "reuse=false"]
    journal = tmp_path / "outputs/killed/journal.bin"
    before = 0
    for more in ([], ["resume=true"]):
        process = subprocess.Popen(
            [sys.executable, "-m", "memvirt.sweep", *words, *more, "name=killed"], cwd=tmp_path, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and points_in(journal) == before:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kept = points_in(journal)
        assert before < kept < 42
        before = kept
    done = sweep(*words, "resume=true", "name=killed", cwd=tmp_path)
    assert f"{before} of them from an earlier run" in done.stderr
    sweep(*words, "name=quiet", cwd=tmp_path)
    for name in ("results.parquet", "epochs.parquet"):
        one, other = (pd.read_parquet(tmp_path / "outputs" / folder / name) for folder in ("quiet", "killed"))
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_a_full_disk(tmp_path: Path) -> None:
    """The sweep stops, says why and how to go on, and goes on when there is room again."""
    sweep(*WORDS, "name=first", cwd=tmp_path)  # compiled; the limits below would count for numba's cache too
    first, full = tmp_path / "outputs/first", tmp_path / "outputs/full"
    journal = full / "journal.bin"
    words = [*WORDS, "name=full", "reuse=false"]

    def stops_at(limit: int, files: str) -> None:
        """No file can grow beyond this many bytes, and it is one of these that would."""
        for path in full.glob("*.parquet"):
            path.unlink()

        before = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[0][1]))
        try:
            done = here("memvirt.sweep", *words, "resume=true", cwd=tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before[0])
            signal.signal(signal.SIGXFSZ, before[1])
        assert done.returncode == 1, done.stderr
        assert "Traceback" not in done.stderr
        assert re.search(rf"outputs/full/({files}): can't be written: .*File too large", done.stderr)
        assert "go on with" in done.stderr
        assert not list(full.glob("*.parquet"))
        assert not list(full.glob(".*.part"))

    sweep(*words, "tlb=skylake", cwd=tmp_path)
    assert points_in(journal) == 12
    stops_at(journal.stat().st_size + 1000, "journal.bin")  # within its next frame
    assert points_in(journal) == 12
    assert "12 of them from an earlier run" in sweep(*words, "resume=true", cwd=tmp_path).stderr
    pd.testing.assert_frame_equal(table(first), table(full), check_exact=True)

    stops_at((first / "results.parquet").stat().st_size * 2 // 3, "epochs.parquet|results.parquet|results.csv")
    assert "nothing to compute" in sweep(*words, "resume=true", cwd=tmp_path).stdout
    pd.testing.assert_frame_equal(table(first), table(full), check_exact=True)


def test_figures_that_cant_be_written(tmp_path: Path) -> None:
    """The sweep's tables are complete, so that it went well; it says that the figures are not, and how to draw them."""
    folder = tmp_path / "outputs/no"
    folder.mkdir(parents=True)
    (folder / "figures").touch()
    done = sweep(*SMALL, "mmu=native", "executor=serial", "name=no", cwd=tmp_path, pictures=True)
    assert re.search(r"outputs/no/figures/\w+.png: can't be written: ", done.stderr)
    assert "the tables are complete" in done.stderr
    assert len(table(folder)) == 2
    (folder / "figures").unlink()
    line = next(line for line in done.stderr.splitlines() if line.startswith("python -m memvirt.sweep"))
    again = sweep(*shlex.split(line)[3:], cwd=tmp_path, pictures=True)
    assert "nothing to compute" in again.stdout
    assert (folder / "figures/cycles.pdf").exists()


@pytest.mark.parametrize("where", [(Journal, "add"), (store_module.pq, "write_table")], ids=["journal", "shard"])
def test_a_full_disk_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: tuple[object, str]) -> None:
    """By its name, not by its number; what the journal took stays, whether or not a shard could be made of it."""
    monkeypatch.setattr(store_module, "SHARD_POINTS", 4)
    store = Store(tmp_path, "code")
    store.open(resume=False)
    fill(store, 0, 3)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(*where, full)
        with pytest.raises(WriteError, match="can't be written: the disk is full"):
            fill(store, 3, 4)
    store.close()
    again = Store(tmp_path, "code")
    again.open(resume=True)
    assert len(rows(again)) == (3 if where[0] is Journal else 4)
    assert not again.damaged
    fill(again, 4, 9)
    assert len(rows(again)) == (8 if where[0] is Journal else 9)
    again.close()


def test_too_many_failures(tmp_path: Path) -> None:
    """The sweep stops early, keeps what is done, and says how to go on."""
    words = [*SMALL, "reclaim=none", "overcommit.ratio=1.2,1.3,1.4,1.5,1.6", "mmu=native,nested", "executor=serial", "name=few"]
    done = here("memvirt.sweep", *words, "max_failures=2", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "max_failures=2: 3 points failed" in done.stderr
    assert "3 of 10 points are kept" in done.stderr
    assert "resume=true" in done.stderr
    assert not (tmp_path / "outputs/few/results.parquet").exists()
