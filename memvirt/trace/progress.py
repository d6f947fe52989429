"""What a long job says while it runs, on the standard error."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType

ON_A_TERMINAL, ELSEWHERE = 0.5, 10.0  #: seconds between two lines


class Progress:
    """Counts accesses from several threads, and says how many, how fast and since when."""

    def __init__(self) -> None:
        self.kept = self.skipped = 0
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self._tty = sys.stderr.isatty()
        self._last = self._start
        self._before = 0

    def note(self, kept: int, skipped: int = 0) -> None:
        """Count some more."""
        with self._lock:
            self.kept += kept
            self.skipped += skipped

    def show(self, processes: int) -> None:
        """Say where it is, if it is time to."""
        now = time.monotonic()
        took = now - self._last
        if took < (ON_A_TERMINAL if self._tty else ELSEWHERE):
            return
        total = self.kept + self.skipped
        rate = (total - self._before) / took
        self._last, self._before = now, total
        skipped = f" after {self.skipped:,} skipped" if self.skipped else ""
        text = f"{self.kept:,} accesses{skipped}, {rate / 1e6:.2f} M/s, {now - self._start:.0f} s, {processes} processes"
        print(f"\r{text:<79}" if self._tty else text, end="" if self._tty else "\n", file=sys.stderr, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, wrong: BaseException | None, trace: TracebackType | None) -> None:
        if self._tty:
            print(f"\r{'':<79}\r", end="", file=sys.stderr, flush=True)
