"""Stages kept on disk, so that a later sweep below the same output folder need not compute them again.

What a stage handed on is kept where reading it back should take far less time than computing it did. One file a
stage: a digest of what follows, then the digests and the time that it took, then the fields; written whole, read with
suspicion, oldest thrown away first.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import sys
from pathlib import Path
from typing import Any, NamedTuple

from memvirt.digest import text_digest

READ_RATE = 200e6  #: bytes a second at which a field can be written and read back, cautiously
FACTOR = 10  #: how much longer computing must take
LEAST = 0.02  #: seconds below which nothing is kept


class KeptStage(NamedTuple):
    """A stage of an earlier sweep, without its large fields.

    Attributes
    ----------
    digests : dict of str
        Of each field.
    fields : dict
        The small ones.
    seconds : float
        That it took.
    """

    digests: dict[str, str]
    fields: dict[str, Any]
    seconds: float


def versions_digest() -> str:
    """What a kept field depends on besides its key."""
    import numba
    import numpy as np

    return text_digest(sys.version, numba.__version__, np.__version__)[:8]


class Kept:
    """A folder of kept stages.

    Parameters
    ----------
    folder : Path
    limit : int
        Bytes that it may take.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.home, self.folder, self.limit = folder, folder / versions_digest(), limit
        self.names: set[str] = set()
        with contextlib.suppress(OSError):  # there is none yet
            self.names = {entry.name for entry in os.scandir(self.folder) if not entry.name.startswith(".")}

    def read(self, name: str) -> KeptStage | None:
        """The stage of that key; None if there is none, or its file isn't whole."""
        found = self._read(name)
        return KeptStage(*found) if found is not None else None

    def read_large(self, name: str) -> dict[str, Any] | None:
        """Its large fields; None if they aren't there, or not whole."""
        found: dict[str, Any] | None = self._read(f"{name}.large")
        return found

    def _read(self, name: str) -> Any:
        if name not in self.names:
            return None
        path = self.folder / name
        try:
            data = path.read_bytes()
            if hashlib.blake2b(data[16:], digest_size=16).digest() != data[:16]:
                raise ValueError("its digest is another")
            os.utime(path)
            return pickle.loads(memoryview(data)[16:])
        except Exception:  # whatever it is, computing the stage again mends it
            self.names.discard(name)
            path.unlink(missing_ok=True)
            return None

    def worth_keeping(self, seconds: float, size: int) -> bool:
        """Whether reading a stage back is much cheaper than computing it."""
        return seconds > LEAST and seconds > FACTOR * size / READ_RATE and size < self.limit // 4

    def write(self, name: str, stage: KeptStage, large: dict[str, Any]) -> None:
        """Keep a stage; if it can't be, the sweep goes on without."""
        if large:
            self._write(f"{name}.large", large)
        self._write(name, tuple(stage))

    def _write(self, name: str, value: Any) -> None:
        body = pickle.dumps(value, protocol=5)
        part = self.folder / f".{name}.{os.getpid()}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            part.write_bytes(hashlib.blake2b(body, digest_size=16).digest() + body)
            os.replace(part, self.folder / name)
            self.names.add(name)
        except OSError:
            part.unlink(missing_ok=True)

    def prune(self) -> None:
        """Throw away what was used longest ago, until the folder is within its limit."""
        files = []
        for path in self.home.glob("*/*"):
            try:
                status = path.stat()
            except OSError:  # another sweep threw it away
                continue
            files.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self.limit:
                return
            path.unlink(missing_ok=True)
            total -= size
