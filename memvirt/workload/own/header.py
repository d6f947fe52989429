"""What a file of memvirt's own form says of itself: JSON in the Parquet file's metadata."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from memvirt.types import Accesses

VERSION = 2  #: of what is written; version 1 is read
SUFFIX = ".parquet"
KEY = b"memvirt"
SCHEMA = pa.schema([("page", pa.uint32()), ("line", pa.uint8()), ("gap", pa.uint8())])
SPACE_BITS = 12  #: of an address space's number, above the 52 of a page's in the key of a page
COUNTS = ("accesses", "instructions", "writes", "fetches")


class Header(NamedTuple):
    """What is known without reading an access.

    Attributes
    ----------
    version : int
    about : dict
        Origin: ``source`` and ``format`` of an import; ``command``, ``tool`` of a recording.
    vpn : (p,) uint64
        Pages as the column ``page`` numbers them: in the order of first touch, of version 1 ascending.
    asid : (p,) uint16
        Address space of each.
    counts : dict
        `COUNTS`; of version 1 accesses alone.
    digest : str
        Of columns and pages, however they are compressed; of version 1 empty.
    """

    version: int
    about: dict[str, Any]
    vpn: NDArray[np.uint64]
    asid: NDArray[np.uint16]
    counts: dict[str, int]
    digest: str

    @property
    def address_range(self) -> tuple[int, int]:
        """First and last byte of the lowest and of the highest page."""
        return int(self.vpn.min()) << 12, (int(self.vpn.max()) << 12) + 4095


class Damaged(Exception):
    """Why a header can't be what was written."""


def pack_numbers(numbers: NDArray[Any]) -> str:
    """Write unsigned numbers as text: differences, deflated."""
    step = np.diff(numbers, prepend=numbers.dtype.type(0)).astype(numbers.dtype.newbyteorder("<"))
    return base64.b64encode(zlib.compress(step.tobytes(), 9)).decode()


def unpack_numbers(text: Any, dtype: str, count: int) -> NDArray[Any]:
    """Read what `pack_numbers` wrote, and no more of it than there should be.

    Raises
    ------
    Damaged
        If there are more or fewer, or it is no such text.
    """
    size = count * np.dtype(dtype).itemsize
    try:
        stream = zlib.decompressobj()
        data = stream.decompress(base64.b64decode(text, validate=True), size + 1)
    except (TypeError, ValueError, binascii.Error, zlib.error) as wrong:
        raise Damaged(f"its page table can't be read ({wrong})") from None
    if len(data) != size or not stream.eof:
        raise Damaged(f"its page table doesn't hold the {count:,} pages that it says")
    return np.cumsum(np.frombuffer(data, dtype), dtype=dtype)


def write_header(header: Header) -> bytes:
    """Header as it stands in the file."""
    content: dict[str, Any] = {"version": header.version, "pages": int(header.vpn.size), "vpn": pack_numbers(header.vpn)}
    if header.asid.any():
        content["asid"] = pack_numbers(header.asid)
    if header.vpn.size:
        content["address_range"] = [f"{address:#x}" for address in header.address_range]
    return json.dumps({**content, **header.counts, "digest": header.digest, "about": header.about}).encode()


def _whole_number(content: dict[str, Any], name: str, most: int) -> int:
    value = content.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise Damaged(f"its header's {name} is no number from 0 to {most:,}")
    return value


def read_header(text: bytes, accesses: int) -> Header:
    """Header of a file that has so many accesses.

    Raises
    ------
    Damaged
        If it isn't what `write_header`, or version 1 of memvirt, wrote.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise Damaged("its header is no JSON") from None
    if not isinstance(content, dict):
        raise Damaged("its header is no JSON object")
    version = _whole_number(content, "version", 1 << 30)
    if not 1 <= version <= VERSION:
        raise Damaged(f"its format has version {version}; this memvirt reads 1 to {VERSION}")
    pages = _whole_number(content, "pages", min(accesses, (1 << 31) - 1))
    vpn = unpack_numbers(content.get("vpn"), "<u8", pages).astype(np.uint64)
    asid = np.zeros(pages, np.uint16)
    if "asid" in content:
        asid = unpack_numbers(content["asid"], "<u2", pages).astype(np.uint16)
    counts, digest = {"accesses": accesses}, ""
    if version > 1:
        counts |= {name: _whole_number(content, name, 255 * accesses) for name in COUNTS}
        digest = str(content.get("digest"))
    if counts["accesses"] != accesses:
        raise Damaged(f"it has {accesses:,} accesses, and its header says {counts['accesses']:,}")
    key = vpn | asid.astype(np.uint64) << np.uint64(64 - SPACE_BITS)
    if pages and (int(vpn.max()) >> (64 - SPACE_BITS) or int(asid.max()) >> SPACE_BITS or np.unique(key).size != pages):
        raise Damaged("its page table names a page twice, or one that can't be")
    about = content.get("about")
    if not isinstance(about, dict):
        raise Damaged("its header doesn't say where it comes from")
    return Header(version, about, vpn, asid, counts, digest)


def feed(digest: Any, columns: Accesses) -> None:
    """Put a chunk into a digest."""
    for column in columns:
        digest.update(np.ascontiguousarray(column).data)


def finish_digest(digest: Any, vpn: NDArray[np.uint64], asid: NDArray[np.uint16]) -> str:
    """Put the pages into a digest, and say it."""
    digest.update(vpn.tobytes())
    digest.update(asid.tobytes())
    return str(digest.hexdigest())
