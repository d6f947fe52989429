"""Digests of what rooms hand on, so that equal content is known to be equal."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


def canonical(config: Any) -> str:
    """JSON text that is the same for equal configs."""
    return json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)


def file_stamp(path: Path) -> tuple[int, int]:
    """What tells versions of a file apart while a process runs: when it was changed (ns), and its bytes; zeros if there is none."""
    if not path.is_file():
        return 0, 0
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def text_digest(*parts: str) -> str:
    """Hash texts, each told from the next."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()


def _without_gaps(records: NDArray[np.void]) -> NDArray[np.uint8]:
    """Bytes of records, those between their fields zero: what lies there may be anything."""
    gaps = np.ones(records.dtype.itemsize, bool)
    for kind, first, *_ in (records.dtype.fields or {}).values():
        gaps[first : first + kind.itemsize] = False
    rows = np.ascontiguousarray(records).view(np.uint8).reshape(-1, gaps.size)
    if gaps.any():
        rows = rows.copy()
        rows[:, gaps] = 0
    return rows


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, np.ndarray) and value.dtype.names and value.size:
        digest.update(f"{value.dtype.descr}{value.shape}".encode())
        digest.update(_without_gaps(value).data)
    elif isinstance(value, np.ndarray):
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).view(np.uint8).data if value.size else b"")
    elif isinstance(value, dict):
        for name in sorted(value):
            digest.update(f"{name}=".encode())
            _feed(digest, value[name])
    elif isinstance(value, (list, tuple)):
        digest.update(f"{type(value).__name__}{len(value)}".encode())
        for part in value:
            _feed(digest, part)
    else:
        digest.update(repr(value).encode() + b";")


def content_digest(value: Any) -> str:
    """Hash arrays, numbers and (named) tuples or lists of them, by content: half of SHA-256, for which there are instructions."""
    digest = hashlib.sha256()
    _feed(digest, value)
    return digest.hexdigest()[:32]


def hash_file(path: Path, size: int = 16) -> str:
    """Hash a file's bytes to so many bytes, written as hex.

    Raises
    ------
    OSError
        If it can't be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=size)).hexdigest()


def freeze(value: T) -> T:
    """Make arrays read-only, as Ray's are: numba compiles kernels anew for arrays that may be written to."""
    if isinstance(value, np.ndarray):
        value.setflags(write=False)
    elif isinstance(value, dict):
        for part in value.values():
            freeze(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            if type(part) is not str:  # most parts are names of counters
                freeze(part)
    return value
