"""A trace file as a stream of bytes: plain or compressed, a file or a pipe, never held as a whole."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import pyarrow as pa

from memvirt.errors import TraceError
from memvirt.workload.snappy import SnappyFrames

HEAD = 1 << 16  #: bytes of a file's beginning that tell its format
LONGEST = 1 << 12  #: bytes of a line of text
MOST_PARTS = 512  #: traces that are read together
STDIN = Path("-")  #: a pipe on the standard input
#: How a compressed file begins, and what it is.
CODECS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\xff\x06\x00\x00sNaPpY": "snappy",
    b"PK\x03\x04": "zip",
}
ENDINGS = {".gz", ".bz2", ".xz", ".zst", ".zstd", ".lz4", ".sz", ".zip"}
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, pa.ArrowException, ValueError)


class Sample(NamedTuple):
    """What a format is told by.

    Attributes
    ----------
    head : bytes
        The first `HEAD` bytes at the most, decompressed.
    size : int or None
        Bytes of the whole, decompressed; None where only reading to the end would tell.
    name : str
        Of the file, in lower case, without the ending of its compression.
    path : Path or None
        Of a file that may be read at any place.
    """

    head: bytes
    size: int | None
    name: str
    path: Path | None = None

    @property
    def ending(self) -> str:
        """Ending of the name: ``.bin``."""
        return Path(self.name).suffix

    @property
    def whole(self) -> bool:
        """Whether the head is all there is."""
        return self.size == len(self.head)

    def lines(self, most: int = 200) -> list[str]:
        """Whole lines of the head; none if it isn't text, or lines are longer than any format's."""
        if b"\0" in self.head:
            return []
        text = self.head if self.whole else self.head[: self.head.rfind(b"\n") + 1]
        text = text.removeprefix(b"\xef\xbb\xbf")  # a mark that some editors write
        try:
            lines = text.decode("ascii").splitlines()[:most]
        except UnicodeDecodeError:
            return []
        return lines if max(map(len, lines), default=0) <= LONGEST else []


class Stream:
    """An open trace file.

    Attributes
    ----------
    name : str
        For errors.
    path : Path or None
        Of a plain file that may be read at any place; None of a pipe and of what is compressed.
    size : int or None
        As of `Sample`.
    notes : list of str
        What had to be assumed.
    unfit : str
        Why no TLB looks these accesses up, if that is so.
    parts : list of Stream
        Of a folder, or a zip file of several traces (`is_trace`), a thread's each: all of them; the stream itself is none then.
    is_part : bool
        Whether it is one of them.
    """

    def __init__(self, raw: IO[bytes], name: str, path: Path | None, size: int | None) -> None:
        self.raw, self.name, self.path, self.size = raw, name, path, size
        self.notes: list[str] = []
        self.unfit = ""
        self.parts: list[Stream] = []
        self.is_part = False
        self._head = b""

    def note(self, said: str) -> None:
        """Keep what a file doesn't say and is assumed, for whoever imports it."""
        self.notes.append(said)

    def sample(self) -> Sample:
        """Look at the beginning, which is read all the same; of several parts, at the first one's."""
        if self.parts:
            return self.parts[0].sample()
        self._head += self._fill(HEAD - len(self._head))
        if len(self._head) < HEAD and self.size is None:
            self.size = len(self._head)
        name = Path(Path(self.name).name.lower())
        return Sample(self._head[:HEAD], self.size, str(name.with_suffix("") if name.suffix in ENDINGS else name), self.path)

    def read(self, size: int) -> bytes:
        """Next ``size`` bytes; fewer only at the end."""
        first, self._head = self._head[:size], self._head[size:]
        return first + self._fill(size - len(first)) if len(first) < size else first

    def _fill(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0:
            try:
                part = self.raw.read(size)
            except DAMAGED as wrong:
                said = str(wrong).splitlines()[0] if str(wrong) else type(wrong).__name__
                raise TraceError(self.name, "", f"its compressed contents are damaged or cut short ({said})") from None
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class _Members(io.RawIOBase):
    """The members of a zip file, one after the other."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file)
        self._left = [info for info in self._zip.infolist() if not info.is_dir()]
        self._now: IO[bytes] | None = None

    def read(self, size: int = -1) -> bytes:
        while self._now or self._left:
            self._now = self._now or self._zip.open(self._left.pop(0))
            if part := self._now.read(size):
                return part
            self._now = None
        return b""


def _unpacked(codec: str, file: IO[bytes], name: str) -> Any:
    """Stream of what a compressed file holds."""
    if codec == "zip":
        if not file.seekable():
            raise TraceError(name, "", "is a zip file, which can't be read from a pipe: name the file")
        return _Members(file)
    if codec == "snappy":
        return SnappyFrames(file)
    if codec in ("zstd", "lz4"):
        return pa.CompressedInputStream(pa.PythonFile(file, "r"), codec)
    return gzip.GzipFile(fileobj=file) if codec == "gzip" else {"bz2": bz2.BZ2File, "xz": lzma.LZMAFile}[codec](file)


class _Put(io.RawIOBase):
    """A pipe with the bytes put back that were read to tell what it is."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._head:
            head, self._head = (self._head, b"") if size < 0 else (self._head[:size], self._head[size:])
            return head
        return self._rest.read(size)

    def readinto(self, buffer: Any) -> int:
        part = self.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)


def _open(path: Path) -> IO[bytes]:
    """Open a file or a pipe; whatever else has the name is refused, and nothing is waited for.

    Raises
    ------
    TraceError
        If it can't be a trace.
    """
    if path == STDIN:
        if sys.stdin.isatty():
            raise TraceError("-", "", "stands for a pipe, and nothing is piped in")
        return os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)
    if not path.exists():
        raise TraceError(str(path), "", "there is no such file")
    mode = path.stat().st_mode
    if stat.S_ISFIFO(mode):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        file = os.fdopen(descriptor, "rb", buffering=0)
        try:
            first = file.read(1)  # None: somebody will write; nothing at all: nobody has it open
        except OSError:
            first = None
        if first == b"":
            file.close()
            raise TraceError(str(path), "", "is a FIFO that nothing writes to")
        os.set_blocking(descriptor, True)
        return _Put(first or b"", file)  # type: ignore[return-value]
    if not stat.S_ISREG(mode):
        raise TraceError(str(path), "", "is a device or a socket, not a trace file")
    return path.open("rb", buffering=0)


def is_trace(name: str) -> bool:
    """Whether a file of a folder is a trace by its name, rather than a log or a schedule beside it: ``….trace``, ``….trace.gz``."""
    suffixes = [each.lower() for each in Path(name).suffixes[-2:]]
    return suffixes[-1:] == [".trace"] or (suffixes[:1] == [".trace"] and suffixes[-1] in ENDINGS)


def _codec(head: bytes) -> str | None:
    return next((codec for magic, codec in CODECS.items() if head.startswith(magic)), None)


def _part(file: IO[bytes], name: str, notes: list[str]) -> Stream:
    """A part of a folder or a zip file as a stream, which can't be read at any place."""
    codec = _codec(file.read(16))
    file.seek(0)
    stream = Stream(_unpacked(codec, file, name) if codec else file, name, None, None)
    stream.notes, stream.is_part = notes, True
    return stream


def _several(names: list[str], path: Path) -> list[str]:
    """Those of some names that are traces, in order."""
    found = sorted(name for name in names if is_trace(name))
    if len(found) > MOST_PARTS:
        raise TraceError(str(path), "", f"holds {len(found):,} traces, more than the {MOST_PARTS} that are read together")
    return found


@contextmanager
def _open_folder(path: Path) -> Iterator[Stream]:
    within = path / "trace" if (path / "trace").is_dir() else path
    found = _several([each.name for each in within.iterdir() if each.is_file()], path)
    if not found:
        raise TraceError(str(path), "", "is a folder, not a trace file, and none in it is named NAME.trace")
    with ExitStack() as stack:
        whole = Stream(io.BytesIO(), str(path), None, None)
        whole.parts = [_part(stack.enter_context((within / name).open("rb")), str(within / name), whole.notes) for name in found]
        yield whole


def _zip_parts(file: IO[bytes], path: Path, whole: Stream) -> list[Stream]:
    """Parts of a zip file with several traces; none of one whose members are pieces of one."""
    archive = zipfile.ZipFile(file)
    found = _several(archive.namelist(), path)
    return [_part(archive.open(name), name, whole.notes) for name in found] if len(found) > 1 else []


@contextmanager
def open_stream(path: Path) -> Iterator[Stream]:
    """Open a trace file, a folder of several, or `STDIN`, and unpack it on the way if it is compressed.

    Raises
    ------
    TraceError
        If it can't be opened, is empty, or has changed when it was read.
    """
    try:
        if path != STDIN and path.is_dir():
            with _open_folder(path) as whole:
                yield whole
            return
        with _open(path) as file:
            status = os.fstat(file.fileno()) if path.is_file() else None
            head = b""
            while len(head) < 16 and (more := file.read(16 - len(head))):
                head += more
            if not head:
                raise TraceError(str(path), "", "is empty")
            codec = _codec(head)
            if status is None:
                file = _Put(head, file)  # type: ignore[assignment]
            else:
                file.seek(0)
            if codec:
                stream = Stream(_unpacked(codec, file, str(path)), str(path), None, None)
                stream.parts = _zip_parts(file, path, stream) if codec == "zip" else []
            else:
                stream = Stream(file, str(path), path if status else None, status.st_size if status else None)
            yield stream
            if status is not None:
                now = path.stat()
                if (now.st_mtime_ns, now.st_size, now.st_ino) != (status.st_mtime_ns, status.st_size, status.st_ino):
                    raise TraceError(str(path), "", "has changed while it was read")
    except DAMAGED as wrong:
        if isinstance(wrong, zipfile.BadZipFile):
            raise TraceError(str(path), "", f"is a damaged zip file ({wrong})") from None
        raise
    except OSError as wrong:
        raise TraceError(str(path), "", wrong.strerror or str(wrong)) from wrong
