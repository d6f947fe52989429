"""Traces: formats, generators, several VMs, and what is refused."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from memvirt import workload
from memvirt.errors import ConfigError, TraceError
from memvirt.trace.cli import main
from memvirt.types import CHUNK, WRITE, Accesses, GuestEvent
from memvirt.workload.config import Workload
from memvirt.workload.files import read_file
from memvirt.workload.names import RECORDED, recorded
from memvirt.workload.source import Chunks, Source
from memvirt.workload.synthetic import Ranks, btree

LACKEY = """\
==123== Lackey, an example Valgrind tool
==123== Command: ls
I  04001090,3
 S 1ffefffe58,8
I  04001093,5
I  04001098,2
 L 04222cac,4
 M 0421c7cc,4
==123==
I  04001098,2
 L 04222cac,4
"""


def test_lackey(tmp_path: Path) -> None:
    """Loads, stores and modifies are accesses; instructions are counted into the gap; Valgrind's lines are passed over."""
    path = tmp_path / "a.lackey"
    path.write_text(LACKEY)
    found = read_file(path)
    address = [0x1FFEFFFE58, 0x04222CAC, 0x0421C7CC, 0x04222CAC]
    assert found.vpn[found.accesses.page].tolist() == [a >> 12 for a in address]
    assert (found.accesses.line & 63).tolist() == [a >> 6 & 63 for a in address]
    assert (found.accesses.line >> 7).tolist() == [1, 0, 1, 0]
    assert found.accesses.gap.tolist() == [1, 2, 0, 1]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (" L 04222,4\nI  0433,3\n S zz,4\n", 3),
        ("hello\n", 1),
        (" L 04222cac\n", 1),
        (LACKEY + " X 04222cac,4\n", 12),
        (LACKEY[:-6], 11),
    ],
)
def test_malformed_lackey(text: str, line: int, tmp_path: Path) -> None:
    """The file and the line are named, also of a last line that was cut short."""
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(TraceError, match=f"bad.txt, line {line}:"):
        read_file(path, "lackey")


def test_raw_and_own_form(tmp_path: Path) -> None:
    """Raw addresses are reads; the own form gives back what was written; a limit keeps the first part."""
    address = np.random.default_rng(1).integers(0, 1 << 46, 5000).astype("<u8")
    address.tofile(tmp_path / "a.bin")
    assert main(["import", str(tmp_path / "a.bin"), "-o", str(tmp_path / "b.parquet"), "--limit", "4000"]) == 0
    found = read_file(tmp_path / "b.parquet")
    assert (found.vpn[found.accesses.page] == address[:4000] >> 12).all()
    assert (found.accesses.line == (address[:4000] >> 6 & 63)).all()
    assert main(["info", str(tmp_path / "b.parquet")]) == 0


def test_page_numbers(tmp_path: Path) -> None:
    """What the tools that measure the kernel replay: each access writes its page."""
    np.array([7, 3, 7, 1 << 20], "<u4").tofile(tmp_path / "a.u32")
    found = read_file(tmp_path / "a.u32")
    assert found.vpn[found.accesses.page].tolist() == [7, 3, 7, 1 << 20]
    assert (found.accesses.line == WRITE).all()


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.bin", b"123"), ("a.u32", b"12345"), ("b.parquet", b"PAR1 and no more"), ("c.txt", b""), ("d.bin", b"")],
)
def test_broken_files(name: str, content: bytes, tmp_path: Path) -> None:
    """Truncated or empty: an error that names the file."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TraceError, match=name):
        read_file(tmp_path / name)
    with pytest.raises(TraceError, match="no such file"):
        read_file(tmp_path / "none.bin")


def test_a_truncated_recording(tmp_path: Path) -> None:
    """A shipped trace cut in the middle."""
    whole = (RECORDED / "gcc.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TraceError, match=r"cut\.parquet"):
        read_file(tmp_path / "cut.parquet")


@pytest.mark.parametrize("name", recorded())
def test_shipped_recordings(name: str) -> None:
    """Real programs, two million data references or more each."""
    found = read_file(RECORDED / f"{name}.parquet")
    assert found.accesses.page.size >= 2_000_000
    assert found.accesses.gap.astype(int).sum() > found.accesses.page.size
    assert found.vpn.size > 100
    assert found.about["tool"].startswith("valgrind")


def test_recordings_are_small() -> None:
    """10 MB in all at the most, of two programs or more."""
    assert len(recorded()) >= 2
    assert sum(path.stat().st_size for path in RECORDED.glob("*.parquet")) <= 10_000_000


def test_gups() -> None:
    """Each update touches T[e] and T[N - e]."""
    config = Workload(name="gups", footprint=1 << 20, accesses=1000)
    found = workload.load(config).read(0, 1000)
    entry = (found.page.astype(int) << 12 | (found.line & 63).astype(int) << 6) >> 6  # the line's number
    lines = (1 << 20) // 64
    assert (np.abs(entry[::2] + entry[1::2] - lines) <= 1).all()
    assert (found.line >= 0x80).all()


def test_btree() -> None:
    """Of 64 MiB at order 6: twelve levels, three reads each; every second look-up raises a record's count and reads an element."""
    elements, nodes = btree.levels_of(1 << 14, 6)
    assert nodes[0] == 1
    assert all(3 <= below / above <= 6 for above, below in pairwise(nodes))
    assert elements * (64 + 32) + sum(nodes) * (56 + 128) <= 1 << 26
    found, missed = 3 * len(nodes) + 2, 3 * len(nodes) - 1
    page, line = btree.make(1 << 14, 1, 6)(0, 1000 * (found + missed))
    assert page.max() < 1 << 14
    page, writes = page.reshape(1000, -1), (line.reshape(1000, -1) & WRITE) > 0
    assert writes[:, found - 2].all()
    assert writes.sum() == 1000
    at_root = page[:, [0, 1, 2, found, found + 1, found + 2]]
    assert all(np.unique(column).size == 1 for column in at_root.T)
    assert np.unique(page[:, found - 3]).size > 900  # leaves are anywhere
    again = btree.make(1 << 14, 1, 6)(777, 2345)
    assert (again[0] == page.ravel()[777:2345]).all()
    with pytest.raises(ConfigError):
        btree.check(2)


def test_several_vms_differ() -> None:
    """Synthetic VMs by seed, recorded ones by where they begin."""
    first, second = (workload.load(Workload(name="uniform", accesses=1000), vm).read(0, 1000) for vm in (0, 1))
    assert (first.page != second.page).any()
    config = Workload(name="gcc", offset=1000)
    first, second = (workload.load(config, vm) for vm in (0, 1))
    assert (first.read(1000, 2000).page == second.read(0, 1000).page).all()
    end = second.accesses
    assert (second.read(end - 1000, end).page == first.read(0, 1000).page).all()  # and wraps around


def test_reading_across_chunks() -> None:
    """A piece that spans chunks is the same as from one."""
    made = workload.load(Workload(name="zipf", accesses=CHUNK + 5000))
    piece = made.read(CHUNK - 100, CHUNK + 100)
    assert (piece.page[:100] == made.read(CHUNK - 100, CHUNK).page).all()
    assert (piece.page[100:] == made.read(CHUNK, CHUNK + 100).page).all()


def test_own_events() -> None:
    """Processes take turns; pages are unmapped and entries rewritten as often as the config says."""
    config = Workload(
        name="uniform", accesses=10_000, processes=2, switch_every=1000, remap_every=3000, remap_pages=4, table_writes_every=500
    )
    made = workload.load(config)
    kinds = made.events["kind"].tolist()
    assert kinds.count(GuestEvent.SWITCH) == 9
    assert kinds.count(GuestEvent.UNMAP) == 12
    assert kinds.count(GuestEvent.TABLE_WRITE) == 19
    assert (np.diff(made.events["at"].astype(int)) >= 0).all()
    half = made.pages.vpn.size // 2
    assert (made.read(0, 1000).page < half).all()
    assert (made.read(1000, 2000).page >= half).all()


@pytest.mark.parametrize(
    "config",
    [
        {"name": "zipff"},
        {"name": "zipf", "alpha": -1},
        {"name": "zipf", "alhpa": 1},
        {"name": "trace"},
        {"name": "gcc", "path": "x"},
    ],
)
def test_refused(config: dict[str, object]) -> None:
    """Unknown names and keys, values out of range."""
    with pytest.raises((ConfigError, ValueError)):
        Workload.model_validate(config)


def test_chunks_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each room goes through a trace again: its first chunks aren't made again, as far as there is room; new traces take it from old ones."""
    made: list[int] = []

    def read(first: int, last: int) -> Accesses:
        made.append(first // CHUNK)
        page = np.arange(first, last, dtype=np.uint32) % np.uint32(7)
        return Accesses(page, page.astype(np.uint8), page.astype(np.uint8))

    def through(chunks: Chunks) -> list[int]:
        """Which chunks are made by going through all; what stands in them is right."""
        made.clear()
        for index, chunk in enumerate(chunks):
            assert chunk.page[:3].tolist() == [(index * CHUNK + place) % 7 for place in range(3)]
            assert not chunk.page.flags.writeable
        return list(made)

    one, other = (Chunks(Source(np.arange(7, dtype=np.uint64), 4 * CHUNK, read), 3 * CHUNK, 0, 1, 1) for _ in range(2))
    monkeypatch.setattr("memvirt.workload.source.MOST_KEPT", 2 * 6 * CHUNK)
    assert [through(one), through(one), through(one)] == [[0, 1, 2], [], []]  # two are kept, and the last one is in any case
    assert [through(other), through(one), through(one)] == [[0, 1, 2], [0, 1, 2], []]
    assert one.__getstate__()["_kept"] == {}  # none travels to another process


@pytest.mark.parametrize(("pages", "alpha"), [(1, 0.9), (7, 1.2), (5000, 0.9), (3000, 4.0), (1 << 19, 0.0)])
def test_ranks_are_what_numpy_finds(pages: int, alpha: float) -> None:
    """Also of numbers that are a rank's own cumulative chance, and just beside it."""
    weight = np.arange(1, pages + 1, dtype=np.float64) ** -alpha
    cumulative = np.cumsum(weight / weight.sum())
    edges = cumulative[cumulative < 1]
    number = np.concatenate([[0.0], edges, np.nextafter(edges, 0), np.nextafter(edges, 1), np.random.default_rng(1).random(20_000)])
    number = number[number < 1]
    assert (Ranks(cumulative)(number) == np.searchsorted(cumulative, number)).all()
