"""Trace formats: told apart by their content, compressed or not, and what is said of files that are none."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from memvirt.errors import TraceError
from memvirt.trace.cli import main
from memvirt.workload.files import read_file

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
        (b"hello\n", "text of no known trace format: it begins 'hello'"),
        (bytes(range(200)), "no known trace format: it begins 00 01"),
    ],
)
def test_none_of_them(content: bytes, said: str, tmp_path: Path) -> None:
    """Never another format's complaint."""
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(TraceError, match=said):
        read_file(tmp_path / "a")
