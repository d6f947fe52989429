"""What all commands share: how one begins, and how it ends."""

from __future__ import annotations

import gc
import os
import select
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from memvirt.errors import MemvirtError, Terminated

#: Each command, with what it does; it is ``main`` of ``memvirt.NAME.__main__``.
COMMANDS = {
    "sweep": "simulate a grid of designs, each distinct stage once",
    "trace": "import, record and describe traces of accesses",
    "figures": "draw columns of a sweep's table",
    "report": "write a sweep as one page",
    "compare": "say what differs between two sweeps",
    "reproduce": "print published numbers beside simulated ones",
    "cache": "say how much is kept for the next run, or throw it away",
    "completion": "print what makes a shell complete these commands",
}


def _nobody_reads() -> bool:
    """Whether what reads this process's output has ended, as `head` does when it has enough."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def run_command(who: str, run: Callable[[list[str]], int | None], argv: Sequence[str] | None) -> int:
    """Run a command; returns its exit code.

    Parameters
    ----------
    who : str
        What an error begins with.
    run : function
        Gets the arguments, and returns an exit code, or None for 0.
    argv : sequence of str, optional
        This process's arguments if not given.

    Returns
    -------
    int
        What ``run`` says; that of a `MemvirtError`, which is told in one line; 130 after Ctrl-C, 143 after SIGTERM, 141
        where nobody reads its output any more.
    """
    try:
        code = run(list(sys.argv[1:] if argv is None else argv)) or 0
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except MemvirtError as wrong:
        print(f"{who}: {wrong}", file=sys.stderr)
        return wrong.exit_code
    except KeyboardInterrupt as stopped:
        if text := str(stopped):
            print(text, file=sys.stderr)
        return stopped.exit_code if isinstance(stopped, Terminated) else 130


def begin() -> None:
    """Begin a process that is a command's own: garbage is looked for seldom, since what loads and composes makes little of it."""
    gc.set_threshold(50_000)


def leave(code: int) -> NoReturn:
    """End this process at once, when all is written and stopped.

    What is left would be to unload, which takes most of a second, and Ray, if it is still starting for a sweep that was refused:
    what it has started dies with this process.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
