"""Stages kept on disk, so that a later sweep below the same output folder need not compute them again.

What a stage handed on is kept where reading it back should take far less time than computing it did. Two files a stage, one for
its large fields, each written whole: a digest of what follows that only this user can make, then the value (`encoding`). One that
isn't as it was written, was written by somebody else or for another stage, or isn't a file is as if it weren't there. Read
whole rather than mapped, since a mapped file that is cut later takes the process with it. Oldest ones are thrown away first.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.digest import text_digest
from memvirt.folders import secret
from memvirt.sweep.store.encoding import ALIGN, EncodingError, decode, encode

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
        self._secret = secret()
        self.names: set[str] = set()
        with contextlib.suppress(OSError):  # there is none yet
            self.names = {entry.name for entry in os.scandir(self.folder) if not entry.name.startswith(".")}

    def read(self, name: str) -> KeptStage | None:
        """The stage of that key; None if there is none, or its file isn't whole."""
        found = self._read(name)
        if found is None or set(found) != set(KeptStage._fields):
            return None
        stage = KeptStage(**found)
        texts = isinstance(stage.digests, dict) and all(isinstance(digest, str) for digest in stage.digests.values())
        number = isinstance(stage.seconds, float) and 0.0 <= stage.seconds < math.inf
        return stage if texts and number and isinstance(stage.fields, dict) else None

    def read_large(self, name: str) -> dict[str, Any] | None:
        """Its large fields; None if they aren't there, or not whole."""
        found: dict[str, Any] | None = self._read(f"{name}.large")
        return found

    def _read(self, name: str) -> dict[str, Any] | None:
        if name not in self.names:
            return None
        path = self.folder / name
        try:
            data = _read_file(path, self.limit)
            if self._digest(name, (data[ALIGN:].data,)) != data[:ALIGN].tobytes():
                raise EncodingError("another wrote it, or it isn't whole")
            value = decode(data[ALIGN:])
            if not isinstance(value, dict):
                raise EncodingError("it holds no fields")
            os.utime(path)
            return value
        except (OSError, EncodingError, MemoryError):  # computing the stage again mends it
            self.names.discard(name)
            with contextlib.suppress(OSError):  # a folder, which isn't ours to remove
                path.unlink()
            return None

    def _digest(self, name: str, pieces: Iterable[bytes | memoryview]) -> bytes:
        digest = hashlib.blake2b(f"{len(name)}:{name}".encode(), key=self._secret, digest_size=ALIGN)
        for piece in pieces:
            digest.update(piece)
        return digest.digest()

    def worth_keeping(self, seconds: float, size: int) -> bool:
        """Whether reading a stage back is much cheaper than computing it."""
        return seconds > LEAST and seconds > FACTOR * size / READ_RATE and size < self.limit // 4

    def write(self, name: str, stage: KeptStage, large: dict[str, Any]) -> None:
        """Keep a stage; if it can't be, the sweep goes on without."""
        if large:
            self._write(f"{name}.large", large)
        self._write(name, stage._asdict())

    def _write(self, name: str, value: dict[str, Any]) -> None:
        part = self.folder / f".{name}.{os.getpid()}"
        try:
            pieces = encode(value)
            self.folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(self._digest(name, pieces))
                file.writelines(pieces)
            os.replace(part, self.folder / name)
            self.names.add(name)
        except EncodingError:  # a plug-in's own kind of value: computed each time
            return
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink()

    def prune(self) -> None:
        """Throw away what was used longest ago, until the folder is within its limit; what isn't a file stays."""
        files = []
        for folder in _entries(self.home):
            if folder.is_dir(follow_symlinks=False):
                for entry in _entries(folder):
                    with contextlib.suppress(OSError):  # another sweep threw it away
                        status = entry.stat(follow_symlinks=False)
                        if stat.S_ISREG(status.st_mode):
                            files.append((status.st_mtime, status.st_size, entry.path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self.limit:
                return
            with contextlib.suppress(OSError):
                os.unlink(path)
            total -= size


def _entries(folder: Path | os.DirEntry[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _read_file(path: Path, limit: int) -> NDArray[np.uint8]:
    """Bytes of a regular file that isn't longer than a limit; a pipe, which would never end, isn't one.

    Raises
    ------
    OSError, EncodingError
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or not ALIGN < status.st_size <= limit:
            raise EncodingError("it is no kept stage")
        whole = np.empty(status.st_size + ALIGN, np.uint8)
        shift = -whole.ctypes.data % ALIGN
        data = whole[shift : shift + status.st_size]
        view, done = data.data, 0
        while (count := file.readinto(view[done:])) > 0:
            done += count
        if done != data.size:
            raise EncodingError("it became shorter")
        return data
