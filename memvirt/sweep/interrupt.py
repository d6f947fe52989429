"""Ctrl-C and a polite kill: a sweep ends between two steps; killed in a step that takes too long, it ends all the same."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from memvirt.errors import Terminated

GRACE = 5.0  #: seconds that a polite kill leaves a step, and what must be closed after it


class Interrupt:
    """Lets Ctrl-C and SIGTERM end a sweep between two steps; a second Ctrl-C as soon as Python can.

    Python runs its handlers when the main thread is back from what it called, and a kernel compiles for minutes. So a thread of
    its own hears of SIGTERM through a pipe, and ends the process when `GRACE` is over, or at a second one. What is done is on disk
    by then, and Ray's workers end with this process.

    Parameters
    ----------
    last_words : function
        What to say in that case.
    """

    def __init__(self, last_words: Callable[[], str] = lambda: "") -> None:
        self.asked: int = 0
        self._last_words = last_words
        self._before: dict[int, Any] = {}
        self._pipe: tuple[int, int, int] | None = None
        self._left = False

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is not threading.main_thread():  # signals are handled there alone
            return self
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._ask)
        if signal.SIGTERM in self._before:
            hear, tell = os.pipe()
            os.set_blocking(tell, False)
            self._pipe = (hear, tell, signal.set_wakeup_fd(tell, warn_on_full_buffer=False))
            threading.Thread(target=self._listen, args=(hear,), name="hears-kill", daemon=True).start()
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise _reason(self.asked)
        self.asked = number

    def _listen(self, hear: int) -> None:
        while heard := os.read(hear, 1):
            if heard[0] == signal.SIGTERM:
                select.select([hear], [], [], GRACE)
                text = "" if self._left else self._last_words()
                with contextlib.suppress(OSError):
                    os.write(2, f"{text}\n".encode() if text else b"")
                os._exit(Terminated.exit_code)
        os.close(hear)

    def check(self) -> None:
        """Stop if it was asked for."""
        if self.asked:
            raise _reason(self.asked)

    def __exit__(self, kind: type[BaseException] | None, wrong: BaseException | None, where: TracebackType | None) -> None:
        self._left = True
        if self.asked == signal.SIGTERM:  # the process is to end, and the thread sees to it
            return
        if self._pipe is not None:
            _, tell, before = self._pipe
            signal.set_wakeup_fd(before)
            os.close(tell)
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _reason(number: int) -> KeyboardInterrupt:
    return Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
