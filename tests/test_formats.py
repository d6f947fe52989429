"""Trace formats: told apart by their content, compressed or not, and what is said of files that are none."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memvirt.errors import ConfigError, TraceError
from memvirt.trace.cli import main
from memvirt.workload import Workload, check, load
from memvirt.workload.files import read_file
from memvirt.workload.stream import open_stream
from tests.support import here, row
from tests.trace_files import FORMS

TEXT = "".join(f"I  0040{n:04x},4\n {'LSM'[n % 3]} 1ffe{n:03x}8,8\n" for n in range(300)).encode()


def zipped(text: bytes) -> bytes:
    """In two members, as drmemtrace cuts its files."""
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"formats-{os.getpid()}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("chunk.0001", text[:1000])
        archive.writestr("chunk.0002", text[1000:])
    try:
        return path.read_bytes()
    finally:
        path.unlink()


def snappy(text: bytes) -> bytes:
    """The framing format, its checksums left zero."""
    frames = [b"\xff\x06\x00\x00sNaPpY"]
    for at in range(0, len(text), 65536):
        data = bytes(4) + pa.Codec("snappy").compress(text[at : at + 65536], asbytes=True)
        frames.append(b"\x00" + len(data).to_bytes(3, "little") + data)
    return b"".join(frames)


def arrow(codec: str, text: bytes) -> bytes:
    """As a stream of frames."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(text)
    return sink.getvalue().to_pybytes()


PACKED = {
    "plain": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda text: arrow("zstd", text),
    "lz4": lambda text: arrow("lz4", text),
    "sz": snappy,
    "zip": zipped,
}


@pytest.mark.parametrize("codec", PACKED)
def test_compression(codec: str, tmp_path: Path) -> None:
    """Told by its first bytes, whatever the ending; damage and a cut are told in one line."""
    path, plain = tmp_path / "a.trace", tmp_path / "b.trace"
    packed = PACKED[codec](TEXT)
    path.write_bytes(packed)
    plain.write_bytes(TEXT)
    found, want = read_file(path), read_file(plain)
    assert found.vpn.tolist() == want.vpn.tolist()
    assert all((mine == other).all() for mine, other in zip(found.accesses, want.accesses, strict=True))
    path.write_bytes(packed[: len(packed) * 2 // 3] if codec != "plain" else packed[:-3])
    with pytest.raises(TraceError, match=r"a\.trace"):
        read_file(path, "lackey")


def test_pipes(tmp_path: Path) -> None:
    """From a pipe as from a file; a FIFO without a writer isn't waited for."""
    packed = gzip.compress(TEXT)
    words = [sys.executable, "-m", "memvirt.trace", "import", "-", "-o", str(tmp_path / "a.parquet")]
    done = subprocess.run(words, input=packed, capture_output=True, timeout=100)
    assert done.returncode == 0, done.stderr
    (tmp_path / "b.trace").write_bytes(TEXT)
    assert read_file(tmp_path / "a.parquet").accesses.page.tolist() == read_file(tmp_path / "b.trace").accesses.page.tolist()
    os.mkfifo(tmp_path / "fifo")
    for name, said in (("fifo", "nothing writes to"), (".", "folder"), ("none", "no such file")):
        with pytest.raises(TraceError, match=said):
            read_file(tmp_path / name)
    with pytest.raises(TraceError, match="device"):
        read_file(Path("/dev/zero"))


def test_a_file_that_changes(tmp_path: Path) -> None:
    """While it is read; nothing is left of the import."""
    path = tmp_path / "a.bin"
    np.arange(4096, 8192, dtype="<u8").tofile(path)
    with pytest.raises(TraceError, match="has changed while it was read"), open_stream(path) as stream:
        stream.read(100)
        path.write_bytes(b"other")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(TraceError, match="pipe or a device: import it"):
        check(Workload(name="trace", path=str(tmp_path / "fifo")))


def test_absent_is_not_zero(tmp_path: Path) -> None:
    """Without instruction lines each access is an instruction; where there are some, they say."""
    path = tmp_path / "a.txt"
    path.write_text(" L 10,4\n M 20,1\n S 1000,4\n")
    found = read_file(path)
    assert found.accesses.gap.tolist() == [1, 1, 1]
    assert "each access counts as one instruction" in found.about["notes"][0]
    path.write_text("I  400000,4\n L 10,4\n M 20,1\n")
    assert read_file(path).accesses.gap.tolist() == [1, 0]


def test_what_valgrind_says_of_itself(tmp_path: Path) -> None:
    """Its own lines, and superblocks', are passed over; another process's are refused, as accesses don't say whose they are."""
    path = tmp_path / "a.txt"
    path.write_text("--12-- Valgrind options:\n==12== \nSB 04001090\nI  04001090,3\n L 10,4\n--12-- REDIR: 0x401\n")
    assert read_file(path).accesses.gap.tolist() == [1]
    path.write_text("==12== a\nI  04001090,3\n L 10,4\n==13== b\n L 20,4\n")
    with pytest.raises(TraceError, match=r"line 4: is another process's.*%p"):
        read_file(path)


@pytest.mark.parametrize(
    ("address", "mask", "vpn"),
    [
        (0xFFFF_8880_0000_1000, None, 0xFFFF_8880_0000_1),
        (0xFFFF_FFFF_FF60_0000, None, 0xFFFF_FFFF_FF60_0),
        (0x00FF_FFFF_FFFF_F000, None, 0x00FF_FFFF_FFFF_F),  # the top of 57 bits' lower half
        (0x0100_0000_0000_0000, None, None),
        (0xB400_7FFF_1234_5678, None, None),  # tagged
        (0xB400_7FFF_1234_5678, "56", 0x7FFF_1234_5),
        (0xB400_7FFF_1234_5678, "0xffffffffffff", 0x7FFF_1234_5),
        (0xB400_FFFF_1234_5678, "48", 0xFFFF_FFFF_1234_5),
    ],
)
def test_canonical(address: int, mask: str | None, vpn: int | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Signs are extended; what isn't canonical is refused with its place, by every command."""
    for name, place in (("a.txt", "line 2"), ("a.bin", "byte 8")):
        path = tmp_path / name
        path.write_bytes(np.array([16, address], "<u8").tobytes()) if name == "a.bin" else path.write_text(
            f" L 10,4\n L {address:x},4\n"
        )
        words = ["import", str(path), "-o", str(tmp_path / "o.parquet"), *(["--mask", mask] if mask else [])]
        code = main(words)
        said = capsys.readouterr().err
        if vpn is None:
            assert code == main(["info", str(path)]) == 2
            assert f"{name}, {place}: {address:#018x} is no canonical address" in said
            assert "--mask" in said
            assert not (tmp_path / "o.parquet").exists()
        else:
            assert code == 0, said
            assert read_file(tmp_path / "o.parquet").vpn.tolist() == [0, vpn]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x7fELF\x02\x01", "an ELF program"),
        (b"PERFILE2" + bytes(100), "perf script"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 754\n", "Git LFS"),
        (b"version,time,op,size,lbn\n1,33898,2a,512,42932745\n", "columns version, time, op, size, lbn: --format csv"),
        (b"42932745\n42932746\n", "a number a line: --pattern"),
        (b"0 1000\n1 7fff0000\n2 400000\n", "an operation and an address a line: --pattern"),
        (b"hello\n", "text of no known trace format: it begins 'hello'"),
        (bytes(range(200)), "no known trace format: it begins 00 01"),
    ],
)
def test_none_of_them(content: bytes, said: str, tmp_path: Path) -> None:
    """Never another format's complaint."""
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(TraceError, match=said):
        read_file(tmp_path / "a")


@pytest.mark.parametrize(("mode", "levels"), [("native", 4), ("nested", 4), ("nested", 5)])
def test_kernel_addresses_walk_as_others(mode: str, levels: int, tmp_path: Path) -> None:
    """The upper half differs from the lower by an index of the root: counts are the same, and differ from one page's."""
    rng = np.random.default_rng(5)
    offset = rng.integers(0, 1 << 21, 400) + rng.integers(0, 40, 400) * (1 << 30)
    got = []
    for name, base in (("low", 0x0000_0880_0000_0000), ("high", 0xFFFF_8880_0000_0000)):
        path = tmp_path / f"{name}.txt"
        path.write_text("".join(f" L {base + int(at):x},8\n" for at in offset))
        got.append(row("workload=trace", f"workload.path={path}", f"mmu={mode}", f"guest.levels={levels}"))
    low, high = ({name: value for name, value in each.items() if "path" not in name} for each in got)
    assert low == high
    assert low["walks"] > 300
    assert low["walk_refs_guest"] > low["walks"]


def test_levels_are_checked_when_planning(tmp_path: Path) -> None:
    """Before anything is computed, and with what would do."""
    path = tmp_path / "a.txt"
    path.write_text(" L 10,8\n L 800000000123,8\n")
    done = here("memvirt.sweep", "workload=trace", f"workload.path={path}", "executor=serial", "dry_run=true", cwd=tmp_path)
    assert done.returncode == 2
    assert f"guest.levels=4: {path}, line 2 touches 0x800000000123, which is no canonical address" in done.stderr
    assert "5 levels translate it" in done.stderr
    assert "guest.levels" not in here(
        "memvirt.sweep", "workload=trace", f"workload.path={path}", "guest.levels=5", "executor=serial", "dry_run=true", cwd=tmp_path
    ).stderr  # fmt: skip


#: Addresses that any of the formats can hold: not zero, which is no operand of ChampSim's, and canonical.
ADDRESS = st.one_of(st.integers(4096, (1 << 47) - 1), st.integers(0xFFFF_8000_0000_0000, (1 << 64) - 1))


def accesses_of(path: Path, arguments: tuple[str, ...] = ()) -> tuple[list[int], list[bool], list[int]]:
    """Lines by their address, which of them are written, and instructions, after an import by the command line."""
    out = path.with_name("out.parquet")
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["import", str(path), "-o", str(out), *arguments]) == 0
    found = read_file(out)
    line = found.vpn[found.accesses.page] << np.uint64(6) | (found.accesses.line & np.uint8(63)).astype(np.uint64)
    return line.tolist(), (found.accesses.line >> 7).astype(bool).tolist(), found.accesses.gap.tolist()


@pytest.mark.parametrize("name", FORMS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(accesses=st.lists(st.tuples(ADDRESS, st.booleans()), min_size=8, max_size=40))
def test_round_trip(name: str, accesses: list[tuple[int, bool]], tmp_path: Path) -> None:
    """The same accesses through every format that can hold them, told by their content: the same trace, an instruction each."""
    form = FORMS[name]
    kept = [(address % form.most, (write and form.stores) or not form.loads) for address, write in accesses]
    path = tmp_path / f"a.{form.ending}"
    path.write_bytes(form.write(kept))
    line, write, gap = accesses_of(path, form.arguments)
    if name == "oracle_general":
        first: dict[int, int] = {}
        assert line == [first.setdefault(address, len(first)) << 6 for address, _ in kept]
    elif name == "pages":
        assert [each >> 6 for each in line] == [address >> 12 for address, _ in kept]
    else:
        assert line == [address >> 6 for address, _ in kept]
    assert write == [each for _, each in kept]
    assert gap == [1] * len(kept)


def test_same_counts_in_every_room(tmp_path: Path) -> None:
    """Of two formats that share nothing but the accesses."""
    rng = np.random.default_rng(2)
    accesses = [
        (int(page) << 12 | 64, bool(write)) for page, write in zip(rng.integers(1, 200, 500), rng.integers(0, 2, 500), strict=True)
    ]
    got = []
    for name in ("lackey", "champsim", "parquet_table"):
        path = tmp_path / f"a.{FORMS[name].ending}"
        path.write_bytes(FORMS[name].write(accesses))
        counted = row("workload=trace", f"workload.path={path}", "mmu=native")
        got.append({key: value for key, value in counted.items() if "path" not in key})
    assert got[0] == got[1] == got[2]
    assert got[0]["accesses"] == got[0]["instructions"] == 500


def test_champsim_operands(tmp_path: Path) -> None:
    """Reads before writes; what is read and written is one write; an instruction without operands is counted."""
    records = np.zeros((3, 8), "<u8")
    records[:, 0] = 0x400000, 0x400004, 0x400008
    records[1, [2, 3, 4, 5]] = 0x1000, 0x2000, 0x3000, 0x1000
    records[2, 7] = 0x5000
    path = tmp_path / "a.champsim.xz"
    path.write_bytes(lzma.compress(records.tobytes()))
    assert accesses_of(path) == ([0xC0, 0x40, 0x80, 0x140], [False, True, True, False], [2, 0, 0, 1])
    path.write_bytes(records.tobytes()[:-1])
    with pytest.raises(TraceError, match=r"byte 128: ends in mid-record"):
        read_file(path, "champsim")


def test_drmemtrace_entries(tmp_path: Path) -> None:
    """Prefetches, markers and encodings are no accesses; processes are address spaces; a raw file is told from a final one."""
    entries = [(25, 0, 5), (28, 12, 5), (28, 9, 0xE40), (22, 0, 7), (24, 0, 7), (47, 8, 99), (10, 3, 0x400000), (0, 8, 0x1000)]
    entries += [(2, 8, 0x9000), (48, 2, 0x400003), (29, 2, 0x400003), (1, 8, 0x2000), (24, 0, 8), (31, 2, 0x500000), (1, 4, 0x1000)]
    path = tmp_path / "a.trace"
    path.write_bytes(b"".join(struct.pack("<HHQ", *entry) for entry in [*entries, (26, 0, 0)]))
    found = read_file(path)
    assert (found.vpn.tolist(), found.asid.tolist()) == ([1, 2, 1], [0, 0, 1])
    assert (found.accesses.page.tolist(), found.accesses.gap.tolist()) == ([0, 1, 2], [1, 1, 1])
    assert (found.accesses.line >> 7).tolist() == [0, 1, 1]
    path.write_bytes(struct.pack("<Q", 6 << 61 | 4 << 56 | 7 << 48 | 0x40) + bytes(80))
    with pytest.raises(TraceError, match="drraw2trace"):
        read_file(path)


def test_unfit_for_tlbs(tmp_path: Path) -> None:
    """Physical addresses and samples have a footprint, and are refused as a workload, imported or not."""
    for name, said in (("ramulator", "physical"), ("dramsys", "physical"), ("perf_script", "samples")):
        path = tmp_path / f"{name}.{FORMS[name].ending}"
        path.write_bytes(FORMS[name].write([(n << 12, n % 2 == 0) for n in range(1, 30)]))
        assert len(accesses_of(path)[0]) == 29
        for each in (path, tmp_path / "out.parquet"):
            done = here("memvirt.sweep", "workload=trace", f"workload.path={each}", "dry_run=true", "executor=serial", cwd=tmp_path)
            assert done.returncode == 2
            assert said in done.stderr


def test_processes_are_address_spaces(tmp_path: Path) -> None:
    """Pages of their own, and switches where the trace has them, wherever a VM begins and however often it goes round."""
    path = tmp_path / "a.csv"
    path.write_text("addr,pid\n" + "".join(f"{page << 12},{pid}\n" for page, pid in [(1, 40), (2, 40), (1, 50), (3, 50), (1, 40)]))
    config = Workload(name="trace", path=str(path), repeat=2, offset=3)
    made = load(config)
    assert made.pages.vpn.tolist() == [1, 2, 1, 3]
    assert made.pages.asid.tolist() == [0, 0, 1, 1]
    assert made.read(0, 10).page.tolist() == [0, 1, 2, 3, 0] * 2
    assert [(int(event["at"]), int(event["asid"])) for event in made.events] == [(2, 1), (4, 0), (7, 1), (9, 0)]
    made = load(config, vm=1)
    assert made.read(0, 5).page.tolist() == [3, 0, 0, 1, 2]
    assert [(int(event["at"]), int(event["asid"])) for event in made.events] == [(0, 1), (1, 0), (4, 1), (6, 0), (9, 1)]
    counted = row("workload=trace", f"workload.path={path}", "mmu=native")
    assert counted["accesses"] == 5
    with pytest.raises(ConfigError, match="address spaces of its own"):
        check(Workload(name="trace", path=str(path), processes=2))


def test_the_wrong_order_of_bytes(tmp_path: Path) -> None:
    """Is told, rather than read as addresses that can be by chance."""
    for name, numbers in (
        ("a.bin", np.arange(1, 200, dtype=np.uint64) << np.uint64(12)),
        ("a.u32", np.arange(1, 200, dtype=np.uint32)),
    ):
        path = tmp_path / name
        path.write_bytes(numbers.astype(numbers.dtype.newbyteorder(">")).tobytes())
        with pytest.raises(TraceError, match="looks big-endian"):
            read_file(path)
        path.write_bytes(numbers.astype(numbers.dtype.newbyteorder("<")).tobytes())
        assert read_file(path).vpn.size == 199


def test_operations_that_are_no_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SCSI's write, 2a, begins with the digit of an instruction fetch, and isn't one: it is refused, or left out when asked."""
    path = tmp_path / "a.csv"
    path.write_text("time,op,size,lbn\n1,2a,512,42932745\n2,28,512,7\n")
    words = ["import", str(path), "--format", "csv", "-o", str(tmp_path / "o.parquet"), "--columns"]
    assert main([*words, "object=lbn"]) == 2
    assert "line 2: '2a' tells no load from a store; --columns rw=none" in capsys.readouterr().err
    assert main([*words, "object=lbn,rw=none"]) == 0
    assert read_file(tmp_path / "o.parquet").accesses.page.tolist() == [0, 1]


def test_ties_are_refused(tmp_path: Path) -> None:
    """With the candidates, and --format decides; an ending decides where nothing else does."""
    content = (np.arange(1, 193) << 16).astype("<u8").tobytes()  # addresses, or instructions that touch some
    path = tmp_path / "a.dat"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=r"may be champsim or cloudsuite: say which by --format"):
        read_file(path)
    assert read_file(path, "raw").accesses.page.size == 192
    path.with_suffix(".bin").write_bytes(content)
    assert read_file(path.with_suffix(".bin")).accesses.page.size == 192


def test_patterns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A general reader; what a pattern lacks is said."""
    path = tmp_path / "a.txt"
    path.write_text("# kind address process\nLD 132340325809728 1\nST 132340325812928 2 rest\n")
    line, write, _ = accesses_of(path, ("--pattern", "{rw} {address:d} {process}{...}"))
    assert (line, write) == ([132340325809728 >> 6, 132340325812928 >> 6], [False, True])
    for pattern, said in (("{rw}", "no {address}"), ("{adress}", "no field {adress}"), ("{address} {address}", "twice")):
        assert main(["import", str(path), "-o", str(tmp_path / "b.parquet"), "--pattern", pattern]) == 2
        assert said in capsys.readouterr().err
