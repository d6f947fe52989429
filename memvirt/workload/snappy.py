"""The snappy framing format (``framing_format.txt`` of the snappy project), which no library that memvirt needs anyway reads.

A chunk is one byte of its kind, three of its length, four of a checksum (which is not checked), and the data.
"""

from __future__ import annotations

import io
from typing import IO

import pyarrow as pa

COMPRESSED, PLAIN, FIRST_SKIPPED = 0x00, 0x01, 0x80
CHECKSUM = 4
MOST = 1 << 16  #: bytes that a chunk holds, uncompressed


class SnappyFrames(io.RawIOBase):
    """What a framed file holds, chunk by chunk."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._codec, self._left = file, pa.Codec("snappy"), b""

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size and (more := self._file.read(size - len(found))):
            found += more
        if len(found) < size:
            raise EOFError("a snappy chunk is cut short")
        return found

    def _chunk(self) -> bytes | None:
        """Data of the next chunk; None at the end."""
        kind = self._file.read(1)
        if not kind:
            return None
        data = self._exactly(int.from_bytes(self._exactly(3), "little"))
        if kind[0] >= FIRST_SKIPPED:  # the file's mark, padding
            return b""
        if kind[0] == PLAIN:
            return data[CHECKSUM:]
        if kind[0] != COMPRESSED:
            raise ValueError(f"a snappy chunk has the unknown kind {kind[0]}")
        length, at = 0, CHECKSUM
        while at < min(len(data), CHECKSUM + 5):  # the length is written seven bits a byte
            length |= (data[at] & 0x7F) << 7 * (at - CHECKSUM)
            at += 1
            if data[at - 1] < 0x80:
                break
        if length > MOST:
            raise ValueError(f"a snappy chunk says that it holds {length:,} bytes")
        return bytes(self._codec.decompress(data[CHECKSUM:], decompressed_size=length))

    def read(self, size: int = -1) -> bytes:
        """Some bytes, at most ``size``; none at the end."""
        while not self._left:
            chunk = self._chunk()
            if chunk is None:
                return b""
            self._left = chunk
        part, self._left = (self._left, b"") if size < 0 else (self._left[:size], self._left[size:])
        return part
