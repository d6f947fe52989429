"""Recording a program's memory accesses with Valgrind's Lackey; its text is read as it grows, and never stored.

Lackey's lines don't say whose they are, so each process has a log of its own (``%p``), and each program that a process turns into
by exec too: each becomes a trace.
"""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from memvirt.errors import MemvirtError, Terminated
from memvirt.trace.logs import Log
from memvirt.trace.progress import Progress
from memvirt.workload.formats.lackey import batches
from memvirt.workload.own import OwnWriter

WATCH = 0.05  #: seconds between two looks for new processes
MOST_NAMED = 5  #: traces, in one line
COMMAND = re.compile(rb"^==\d+== Command: (.*)$", re.MULTILINE)


class Wanted(NamedTuple):
    """What to keep of each process.

    Attributes
    ----------
    skip : int
        Leave out so many accesses first.
    limit : int or None
        End the process after so many more.
    fetches : bool
        Keep instruction fetches as well.
    """

    skip: int = 0
    limit: int | None = None
    fetches: bool = False


class Kept(NamedTuple):
    """The trace of one process.

    Attributes
    ----------
    path : Path
    command : str
        As Valgrind names it.
    accesses : int
    """

    path: Path
    command: str
    accesses: int


class _Process(threading.Thread):
    """Reads the log of one process, and writes its trace."""

    def __init__(self, log: Log, path: Path, about: dict[str, Any], wanted: Wanted, progress: Progress) -> None:
        super().__init__(daemon=True)
        self.log, self.path, self.about, self.wanted, self.progress = log, path, about, wanted, progress
        self.kept = 0
        self.command = ""
        self.wrong: Exception | None = None

    def run(self) -> None:
        """Read to the end of the log, or to the limit, which ends the process."""
        try:
            if not self._keep():
                self.log.kill()
        except Exception as wrong:  # told by the main thread
            self.wrong = wrong
            self.log.kill()
        finally:
            self.log.close()

    def _keep(self) -> bool:
        """Write the trace; whether all of the log was read."""
        skip, limit = self.wanted.skip, self.wanted.limit
        seen = 0
        parts = batches(self.log, f"Lackey's output of process {self.log.pid}", self.wanted.fetches)
        first = next(parts, None)
        if first is None:
            return True
        found = COMMAND.search(self.log.head)
        self.command = found[1].decode(errors="replace") if found else ""
        with OwnWriter(self.path, self.about | {"process": self.command}) as writer:
            part: Any = first
            while part is not None and (limit is None or self.kept < limit):
                low = min(max(skip - seen, 0), part.address.size)
                high = part.address.size if limit is None else min(part.address.size, low + limit - self.kept)
                writer.add(part.address[low:high], part.what[low:high], part.gap[low:high])
                seen += part.address.size
                self.kept += high - low
                self.progress.note(high - low, low)
                part = next(parts, None)
            if not self.kept:
                writer.cancel()
        return part is None


def _tool() -> tuple[str, str]:
    """Valgrind, and its version."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise MemvirtError("recording needs Valgrind, which is not installed (Debian: apt-get install valgrind)")
    version = subprocess.run([valgrind, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return valgrind, version


@contextmanager
def polite_kill() -> Iterator[None]:
    """SIGTERM is told like Ctrl-C."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated("")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Family:
    """All processes of a recording."""

    def __init__(self, folder: Path, output: Path, about: dict[str, Any], wanted: Wanted, progress: Progress) -> None:
        self.folder, self.output, self.about, self.wanted, self.progress = folder, output, about, wanted, progress
        self.members: list[_Process] = []

    def welcome(self) -> None:
        """Begin to read what processes have begun to write."""
        for path in sorted(self.folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
            log = Log(path)
            for member in self.members:
                if member.log.pid == log.pid:
                    member.log.over.set()
            number = len(self.members) + 1
            own = self.output if number == 1 else self.output.with_name(f"{self.output.stem}-{number}{self.output.suffix}")
            self.members.append(_Process(log, own, self.about, self.wanted, self.progress))
            self.members[-1].start()

    def reading(self) -> int:
        """How many are still read."""
        return sum(member.is_alive() for member in self.members)

    def end(self) -> None:
        """End them all, and wait until what they have written is kept."""
        for member in self.members:
            if member.is_alive():
                member.log.kill()
        for member in self.members:
            member.join()


def _named(kept: list[Kept]) -> str:
    """Traces, the first few by name."""
    files = [f"{each.path} ({each.accesses:,} accesses)" for each in kept[:MOST_NAMED]]
    more = [f"and {len(kept) - MOST_NAMED} more beside it"] if len(kept) > MOST_NAMED else []
    return ", ".join([*files, *more]) or "nothing"


def record(command: list[str], output: Path, wanted: Wanted = Wanted()) -> list[Kept]:  # noqa: B008
    """Run a command under Lackey, and write a trace for each of its processes that accesses memory.

    Parameters
    ----------
    command : list of str
    output : Path
        Of the first process; the next is called ``NAME-2``, and so on.
    wanted : Wanted

    Returns
    -------
    list of Kept

    Raises
    ------
    MemvirtError
        If Valgrind or the command isn't there, nothing was recorded, or a trace can't be written.
    KeyboardInterrupt
        After Ctrl-C or SIGTERM (`Terminated`), when all that was recorded until then is written.
    """
    valgrind, version = _tool()
    if shutil.which(command[0]) is None:
        raise MemvirtError(f"there is no command {command[0]}")
    about = {"command": shlex.join(command), "tool": f"{version} lackey", "skip": wanted.skip, "limit": wanted.limit}
    stopped: KeyboardInterrupt | None = None
    with tempfile.TemporaryDirectory(prefix="memvirt-") as folder, polite_kill(), Progress() as progress:
        options = ["--tool=lackey", "--trace-mem=yes", "--basic-counts=no", "--trace-children=yes", f"--log-file={folder}/%p"]
        family = _Family(Path(folder), output, about, wanted, progress)
        process = subprocess.Popen([valgrind, *options, *command], start_new_session=True)
        try:
            while process.poll() is None or family.reading():
                family.welcome()
                progress.show(family.reading())
                time.sleep(WATCH)
                if any(member.wrong for member in family.members):
                    break
            family.welcome()
        except KeyboardInterrupt as asked:
            stopped = asked
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            family.end()
            process.wait()
    for member in family.members:
        if member.wrong is not None:
            raise member.wrong
    kept = [Kept(member.path, member.command, member.kept) for member in family.members if member.kept]
    if stopped is not None:
        how = "SIGTERM" if isinstance(stopped, Terminated) else "Ctrl-C"
        raise type(stopped)(f"stopped by {how}; kept {_named(kept)}")
    if not kept:
        raise MemvirtError(f"{command[0]} made no more than {wanted.skip} data accesses: nothing was recorded")
    return kept
