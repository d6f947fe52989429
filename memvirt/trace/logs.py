"""Logs of processes that are still being written: read as they grow, and never kept."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from pathlib import Path

PAUSE = 0.02  #: seconds between two looks at a log that hasn't grown
MOST_BEHIND = 1 << 28  #: bytes that a process may be ahead of its reader before it has to wait
KEEP_SIZE, PUNCH_HOLE = 1, 2  #: of Linux's fallocate(2)
ROUND = 1 << 20  #: bytes that are given back to the disk at a time
HEAD = 1 << 12  #: bytes that hold what Valgrind says of the process
_libc = ctypes.CDLL(None, use_errno=True)


def is_alive(pid: int) -> bool:
    """Whether a process runs (and isn't a zombie)."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (OSError, IndexError):
        return False


class Log:
    """What one process writes between two calls of exec; gone from its folder as soon as it is seen, since exec empties it.

    Parameters
    ----------
    path : Path
        Named by the process's number.

    Attributes
    ----------
    head : bytes
        How it begins, once it has been read from.
    over : Event
        Set where the process has gone on to another log.
    """

    def __init__(self, path: Path) -> None:
        self.pid = int(path.name)
        self.over = threading.Event()
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        path.unlink()
        self.head = b""
        self._at = self._freed = 0
        self._stopped = False

    def read(self, size: int) -> bytes:
        """Next ``size`` bytes; fewer, and no part of a line, only when the process has ended."""
        data = bytearray()
        while len(data) < size:
            ended = self.over.is_set() or not is_alive(self.pid)
            part = os.pread(self._file, size - len(data), self._at)
            self.head = self.head or part[:HEAD]
            data += part
            self._at += len(part)
            if part:
                self._hold_back()
            elif ended:
                return bytes(data[: data.rfind(b"\n") + 1])
            else:
                time.sleep(PAUSE)
        self._give_back()
        return bytes(data)

    def _hold_back(self) -> None:
        behind = os.fstat(self._file).st_size - self._at
        if not self._stopped and behind > MOST_BEHIND:
            self._stopped = _signal(self.pid, signal.SIGSTOP)
        elif self._stopped and behind < MOST_BEHIND // 2:
            self._stopped = not _signal(self.pid, signal.SIGCONT)

    def _give_back(self) -> None:
        end = self._at // ROUND * ROUND
        if end > self._freed:
            size = ctypes.c_int64(end - self._freed)
            _libc.fallocate(self._file, KEEP_SIZE | PUNCH_HOLE, ctypes.c_int64(self._freed), size)
            self._freed = end

    def kill(self) -> None:
        """End the process."""
        if not self.over.is_set():
            _signal(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Give all of it back."""
        os.close(self._file)


def _signal(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
