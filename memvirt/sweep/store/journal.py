"""The journal: what is done is appended at once, in entries that tell whether they are whole."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from memvirt.sweep.store.block import Block

MAGIC = b"MVJ1"
_HEAD = struct.Struct(
    "<4sIII"
)  #: magic, length of the three parts' lengths and texts, length of the block, CRC-32 of all that follows


class Entry(NamedTuple):
    """A frame.

    Attributes
    ----------
    about : dict
        ``code`` that computed it, and ``points``: pairs of a point's id and the key of its rows.
    block : Block, optional
        Rows that no earlier frame has.
    """

    about: dict[str, Any]
    block: Block | None


class Damage(NamedTuple):
    """A frame that is as it was written, but isn't one of ours.

    Attributes
    ----------
    why : str
    """

    why: str


class Journal:
    """Appends entries to a file.

    Parameters
    ----------
    path : Path
        Cut to its last whole frame, if that isn't its end.

    Raises
    ------
    OSError
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        whole = 0
        if path.exists():
            for whole, _ in read_entries(path):  # noqa: B007 - where the last one ends
                pass
        self._file: BinaryIO = path.open("ab")
        if self._file.tell() != whole:
            os.truncate(path, whole)
        self.bytes = whole

    def add(self, about: dict[str, Any], block: Block | None) -> None:
        """Append a frame; it is in the kernel's hands when this returns, so it outlives the process.

        Raises
        ------
        OSError
            The file then holds the earlier entries, and perhaps a part of this one, which is known as such.
        """
        frame = encode(about, block)
        self._file.write(frame)
        self._file.flush()
        self.bytes += len(frame)

    def close(self) -> None:
        """Let go of the file."""
        with contextlib.suppress(OSError):  # the disk is full; what is lost was told as lost
            self._file.close()


def encode(about: dict[str, Any], block: Block | None) -> bytes:
    """Make a frame."""
    text = json.dumps(about, separators=(",", ":")).encode()
    results, epochs = block if block is not None else (b"", b"")
    body = struct.pack("<II", len(text), len(results)) + text + results + epochs
    return _HEAD.pack(MAGIC, len(body), 0, zlib.crc32(body)) + body


def read_entries(path: Path) -> Iterator[tuple[int, Entry | Damage]]:
    """Whole entries of a file, each with where it ends; what follows the first that isn't whole is left out."""
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            magic, length, _, checksum = _HEAD.unpack(head)
            body = file.read(length) if magic == MAGIC else b""
            if magic != MAGIC or len(body) != length or zlib.crc32(body) != checksum:
                return
            try:
                entry: Entry | Damage = _decode(body)
            except (ValueError, RecursionError, struct.error) as wrong:
                entry = Damage(" ".join(str(wrong).split()))
            yield file.tell(), entry


def _decode(body: bytes) -> Entry:
    texts, results = struct.unpack_from("<II", body)
    at = 8 + texts
    if at + results > len(body):
        raise ValueError("its parts are longer than it is")
    about = json.loads(body[8:at])
    if not isinstance(about, dict) or not isinstance(about.get("code"), str) or not _are_pairs(about.get("points")):
        raise ValueError("it doesn't say which points it is of")
    return Entry(about, Block(body[at : at + results], body[at + results :]) if results else None)


def _are_pairs(points: Any) -> bool:
    return isinstance(points, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair) for pair in points
    )
