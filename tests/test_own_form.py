"""memvirt's own form of a trace: written as accesses come, read by the chunk."""

from __future__ import annotations

import itertools
import json
import pickle
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from memvirt import workload
from memvirt.errors import TraceError
from memvirt.tlb.misses import pack, unpack
from memvirt.types import CHUNK, FETCH, WRITE
from memvirt.workload import stored
from memvirt.workload.config import Workload
from memvirt.workload.files import read_file
from memvirt.workload.names import RECORDED
from memvirt.workload.own import OwnFile, OwnWriter, header
from tests.support import row

RNG = np.random.default_rng(5)
LENGTH = CHUNK + 70_000  #: two chunks


@pytest.fixture(scope="module")
def accesses() -> tuple[np.ndarray, ...]:
    """Addresses of 9,000 pages (the table of pages grows), kernel ones among them; kinds, gaps and spaces."""
    page = RNG.integers(0, 9000, LENGTH).astype(np.uint64)
    page[page < 100] += np.uint64(0xFFFFFFFFFFFFFFFF >> 12) - np.uint64(100)
    address = page << np.uint64(12) | RNG.integers(0, 4096, LENGTH).astype(np.uint64)
    gap = RNG.integers(0, 9, LENGTH)
    gap[LENGTH // 2] = 3000
    space = (np.arange(LENGTH) // 5000 % 3).astype(np.uint16)
    return address, RNG.integers(0, 3, LENGTH).astype(np.uint8), gap, space


@pytest.fixture(scope="module")
def path(accesses: tuple[np.ndarray, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that was written in pieces of any size."""
    found = tmp_path_factory.mktemp("own") / "a.parquet"
    cuts = [0, 1, 1, 4097, 300_000, LENGTH]
    with OwnWriter(found, {"source": "test"}) as out:
        for first, last in itertools.pairwise(cuts):
            out.add(*(column[first:last] for column in accesses))
    return found


def test_what_was_written_is_read(accesses: tuple[np.ndarray, ...], path: Path) -> None:
    """Addresses by line, kinds, address spaces; instructions beyond a byte lie before the accesses that follow."""
    address, what, gap, space = accesses
    file = OwnFile(path)
    read = file.read(0, LENGTH)
    assert (file.vpn[read.page] == address >> np.uint64(12)).all()
    assert (file.asid[read.page] == space).all()
    assert (read.line == (address >> np.uint64(6) & np.uint64(63)).astype(np.uint8) | np.array([0, WRITE, FETCH])[what]).all()
    assert (read.gap[: LENGTH // 2] == gap[: LENGTH // 2]).all()
    assert read.gap[LENGTH // 2] == 255
    assert read.gap.sum(dtype=np.int64) == gap.sum()
    assert (np.diff(file.asid.astype(np.int64)) >= 0).all()
    middle = file.read(CHUNK - 10, CHUNK + 10)
    assert (middle.page == read.page[CHUNK - 10 : CHUNK + 10]).all()


def test_a_file_says_what_it_holds(accesses: tuple[np.ndarray, ...], path: Path) -> None:
    """Counts, range and digest, which doesn't hang on how it was cut or compressed."""
    address, what, gap, _ = accesses
    known = OwnFile(path).header
    wanted = {"accesses": LENGTH, "instructions": gap.sum(), "writes": (what == 1).sum(), "fetches": (what == 2).sum()}
    assert known.counts == wanted
    assert known.address_range == (int(address.min()) >> 12 << 12, int(address.max()) | 4095)
    assert known.about == {"source": "test"}
    OwnFile(path).check_digest()
    with OwnWriter(path.with_name("b.parquet"), level=9) as out:
        out.add(*accesses)
    assert OwnFile(path.with_name("b.parquet")).header.digest == known.digest


def test_a_long_file_is_not_held(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the chunk it is the same trace as in one piece, here and where it is sent to."""
    config = Workload(name="trace", path=str(path), fetches=True)
    whole = workload.load(config, 1)
    monkeypatch.setattr(stored, "IN_MEMORY", 1000)
    cut = workload.load(config.model_copy(update={"offset": 70_001}), 1)
    assert isinstance(cut.chunks.source.read.__self__, OwnFile)  # type: ignore[attr-defined]
    assert len(pickle.dumps(cut)) < 500_000 < LENGTH
    cut = pickle.loads(pickle.dumps(cut))
    for first, last in ((0, 5), (CHUNK - 70_010, CHUNK - 69_990), (LENGTH - 9, LENGTH)):
        for ours, theirs in zip(cut.read(first, last), whole.read(0, LENGTH), strict=True):
            assert (ours == np.roll(theirs, -70_001)[first:last]).all()
    with OwnWriter(path.with_name("c.parquet")) as out:
        out.add(np.arange(9, dtype=np.uint64), np.zeros(9), np.ones(9, np.int64))
    sent = pickle.dumps(OwnFile(path.with_name("c.parquet")))
    path.with_name("c.parquet").write_bytes(path.read_bytes())
    with pytest.raises(TraceError, match="has changed"):
        pickle.loads(sent)


def test_counts_by_the_chunk_are_those_in_one_piece(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Through every room."""
    name = tmp_path / "t.parquet"
    size = 30_000
    with OwnWriter(name) as out:
        pages = np.random.default_rng(1).zipf(1.3, size).astype(np.uint64) % np.uint64(3000)
        out.add(pages << np.uint64(12), np.arange(size) % 3 == 0, np.full(size, 3, np.int64))
    common = ["workload=trace", f"workload.path={name}", "mmu=nested", "cache=full"]
    whole = row(*common)
    monkeypatch.setattr(stored, "IN_MEMORY", 1000)
    assert row(*common) == whole
    assert whole["l2_tlb_misses"] > 0


def test_version_1_is_read() -> None:
    """The shipped traces were written by it."""
    file = OwnFile(RECORDED / "gcc.parquet")
    assert (file.header.version, file.header.counts) == (1, {"accesses": file.accesses})
    found = read_file(RECORDED / "gcc.parquet", limit=5)
    assert found.accesses.page.tolist() == file.read(0, 5).page.tolist()


def test_nothing_is_left_of_a_file_that_failed(tmp_path: Path) -> None:
    """Neither under its name nor another."""
    with pytest.raises(ZeroDivisionError), OwnWriter(tmp_path / "a.parquet") as out:
        out.add(np.zeros(CHUNK, np.uint64), np.zeros(CHUNK), np.ones(CHUNK, np.int64))
        _ = 1 / 0
    with pytest.raises(TraceError, match="4096 address spaces"), OwnWriter(tmp_path / "b.parquet") as out:
        out.add(np.zeros(1, np.uint64), np.zeros(1), np.ones(1, np.int64), np.array([4096], np.uint16))
    assert list(tmp_path.iterdir()) == []


def _rewrite(path: Path, change: dict[str, object]) -> Path:
    """The same columns with another header, or other columns."""
    table = pq.read_table(path)
    content = json.loads(pq.ParquetFile(path).metadata.metadata[header.KEY]) | change
    for number, name in enumerate(("page", "line", "gap")):
        if name in change:
            table = table.set_column(number, name, table[name].cast(change[name]))
    spoiled = path.with_name("spoiled.parquet")
    pq.write_table(table.replace_schema_metadata({header.KEY: json.dumps(content)}), spoiled, row_group_size=CHUNK)
    return spoiled


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"version": 3}, "version 3; this memvirt reads 1 to 2"),
        ({"version": "x"}, "version is no number"),
        ({"pages": 5}, "doesn't hold the 5 pages"),
        ({"pages": -1}, "pages is no number"),
        ({"pages": 1 << 40}, "pages is no number"),
        ({"vpn": None}, "page table can't be read"),
        ({"vpn": "AAAA"}, "page table can't be read"),
        ({"accesses": 7}, "its header says 7"),
        ({"about": []}, "where it comes from"),
        ({"asid": "eJwDAAAAAAE="}, "doesn't hold"),
        ({"page": "float64"}, "columns are not"),
        ({"gap": "string"}, "columns are not"),
    ],
)
def test_what_a_file_says_is_not_believed(change: dict[str, object], why: str, path: Path) -> None:
    """A header or a schema that can't be is refused before an access is read."""
    with pytest.raises(TraceError, match=why):
        OwnFile(_rewrite(path, change))


def test_flipped_bits_are_found(path: Path) -> None:
    """In pages of the file by their checksums; a truncated file as a whole."""
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0x10
    spoiled = path.with_name("spoiled.parquet")
    spoiled.write_bytes(data)
    with pytest.raises(TraceError, match="chunk 0: is damaged"):
        OwnFile(spoiled).check_digest()
    spoiled.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TraceError, match="no whole Parquet file"):
        OwnFile(spoiled)
    digest = OwnFile(path).header.digest
    with pytest.raises(TraceError, match="digest is another"):
        OwnFile(_rewrite(path, {"digest": digest[::-1]})).check_digest()


@pytest.mark.parametrize("misses", [0, 1, 31, 32, 33, 999, 1000])
def test_misses_take_a_bit_at_the_most(misses: int) -> None:
    """Few are kept as places, many as bits; both come back."""
    offsets = np.sort(np.random.default_rng(misses).permutation(1000)[:misses]).astype(np.uint32)
    kept = pack(offsets, 1000)
    assert kept.nbytes <= 125
    assert unpack(kept).tolist() == offsets.tolist()
    assert unpack(kept).dtype == np.uint32
