"""What is found in one look at a trace, against plain restatements; and recording."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from memvirt.errors import Terminated
from memvirt.trace.cli import main
from memvirt.trace.look import Findings, look, open_any
from memvirt.trace.record import Wanted, record
from memvirt.workload.own import OwnFile, OwnWriter

NEEDS_VALGRIND = pytest.mark.skipif(shutil.which("valgrind") is None, reason="recording needs Valgrind")


def written(path: Path, pages: list[int], what: list[int] | None = None, spaces: list[int] | None = None) -> Path:
    """A trace of these pages."""
    size = len(pages)
    address = np.array(pages, np.uint64) << np.uint64(12)
    space = None if spaces is None else np.array(spaces, np.uint16)
    with OwnWriter(path, {"source": "test"}) as out:
        out.add(address, np.array(what if what is not None else [0] * size, np.uint8), np.full(size, 2, np.int64), space)
    return path


def found(path: Path) -> Findings:
    return look(open_any(path))


def lru_misses(pages: list[int], entries: int) -> int:
    """Of a fully associative TLB, written the plain way."""
    held: list[int] = []
    missed = 0
    for page in pages:
        if page in held:
            held.remove(page)
        else:
            missed += 1
        held = [page, *held][:entries]
    return missed


@pytest.mark.parametrize("footprint", [3, 70, 900])
def test_misses_of_every_size(footprint: int, tmp_path: Path) -> None:
    """4K and 2M pages; the order of last touches is packed several times on the way."""
    rng = np.random.default_rng(footprint)
    pages = (rng.zipf(1.2, 5000) % footprint * 37).tolist()
    seen = found(written(tmp_path / "a.parquet", pages))
    for entries in (1, 2, 3, 16, 64, 512, 1024):
        assert seen.misses("4K", entries) == lru_misses(pages, entries)
        assert seen.misses("2M", entries) == lru_misses([page >> 9 for page in pages], entries)
    assert seen.misses("1G", 1) == 1


def test_working_set(tmp_path: Path) -> None:
    """The mean over all windows that end at an access, those at the beginning being shorter."""
    pages = np.random.default_rng(3).integers(0, 40, 300).tolist()
    seen = found(written(tmp_path / "a.parquet", pages))
    assert {1, 2, 3, 4, 10, 64, 256} <= set(seen.window.tolist())
    for window, mean in zip(seen.window.tolist(), seen.working_set.tolist(), strict=True):
        wanted = np.mean([len(set(pages[max(0, end - window) : end])) for end in range(1, 301)])
        assert mean == pytest.approx(wanted, rel=1e-12), window


def test_what_is_counted(tmp_path: Path) -> None:
    """Kinds, footprints of each page size, written pages, regions, address spaces, the map."""
    pages = [5, 6, 5, 5 + 512, 9000, 1 << 40, 5]
    seen = found(written(tmp_path / "a.parquet", pages, [0, 1, 1, 2, 0, 0, 0], [0, 0, 0, 0, 0, 0, 1]))
    assert (seen.accesses, seen.instructions, seen.writes, seen.fetches, seen.written, seen.spaces) == (7, 14, 2, 1, 2, 2)
    assert seen.footprint == {"4K": 6, "2M": 5, "1G": 3}
    regions = [(r.first >> 12, r.last >> 12, r.space, r.pages, r.accesses, r.writes) for r in seen.regions]
    first, second = (5, 517, 0, 3, 4, 2), (9000, 9000, 0, 1, 1, 0)
    assert regions == [first, second, (1 << 40, 1 << 40, 0, 1, 1, 0), (5, 5, 1, 1, 1, 0)]
    assert seen.map.sum() == 7


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page of text and a picture; of a bad file one line."""
    path = written(tmp_path / "a.parquet", list(range(3000)) * 2)
    assert main(["info", str(path), "-o", str(tmp_path / "a.png")]) == 0
    text = capsys.readouterr().out
    for part in ("3,000 pages of 4K (11.72 MiB)", "6 pages of 2M", "2,048  100.0000%", "3,072   50.0000%", "version 2", "a.png"):
        assert part in text, part
    assert (tmp_path / "a.png").stat().st_size > 10_000
    assert main(["info", str(path), "-o", str(tmp_path / "a.doc")]) == 2
    assert "NAME.png" in capsys.readouterr().err
    path.write_bytes(path.read_bytes()[:-9])
    assert main(["info", str(path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@NEEDS_VALGRIND
def test_children_are_recorded(tmp_path: Path) -> None:
    """A shell, a program that it starts, and the one that it turns into; each stands in a file of its own."""
    kept = record(["sh", "-c", "/bin/true; exec /bin/echo hi"], tmp_path / "a.parquet")
    names = {each.command.split()[0] for each in kept}
    assert {"sh", "/bin/true", "/bin/echo"} >= names > {"/bin/true"}
    assert kept[0].path == tmp_path / "a.parquet"
    assert {each.path for each in kept} == set(tmp_path.iterdir())
    for each in kept:
        header = OwnFile(each.path).header
        assert header.counts["accesses"] == each.accesses
        assert header.counts["instructions"] > each.accesses
        assert header.about["process"] == each.command
    (only,) = record(["/bin/true"], tmp_path / "b.parquet", Wanted(skip=1000, limit=2000))
    assert OwnFile(only.path).accesses == only.accesses == 2000


@NEEDS_VALGRIND
def test_what_was_recorded_is_kept(tmp_path: Path) -> None:
    """A polite kill ends the program, which would never end, and keeps what it has done; the parts skipped are not in it."""

    def kill() -> None:
        while not (tmp_path / "a.parquet.part").exists():
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=kill, daemon=True).start()
    with pytest.raises(Terminated, match=r"stopped by SIGTERM; kept .*a\.parquet \([\d,]+ accesses\)"):
        record(["sh", "-c", "while :; do :; done"], tmp_path / "a.parquet", Wanted(skip=1000))
    assert OwnFile(tmp_path / "a.parquet").accesses > 1000
    OwnFile(tmp_path / "a.parquet").check_digest()
