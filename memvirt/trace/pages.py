"""Recording which pages a program visits over minutes, near its native speed: accessed bits of its page tables, step by step.

The kernel counts accessed pages by mapping (``/proc/PID/smaps``, *Referenced*). A helper in the program (`memvirt.trace.agent`)
cuts its mappings into pieces of `grain` pages, down to single ones, by leaving every other piece out of core dumps
(MADV_DONTDUMP), which changes nothing else; and clears accessed bits (MADV_COLD, which flushes the TLB too). Writes are noted by
userfaultfd's asynchronous write protection. What this can't see stands in `UNSEEN`.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from memvirt.errors import MemvirtError, Terminated, WriteError
from memvirt.trace.agent import COLD, DUMP, NO_DUMP, NOTE_WRITES, Agent, build
from memvirt.trace.mappings import Mapping, forget_accesses, joined, read_mappings, take_written
from memvirt.trace.record import polite_kill

MOST_PIECES = 1 << 14  #: mappings that are made of a program's; Linux allows 65,530 (vm.max_map_count)
SPARSE = 16  #: times its resident pages that a mapping may be, to be cut at all
FIRST_LOOK = 0.2  #: seconds after which a program's libraries are there
BLOCK = 512  #: pages whose numbers are neighbours, 2 MiB
COLUMNS = ("time", "vm", "first", "pages", "written", "visits", "busy")
ENDINGS = (".csv", ".parquet")  #: of a table's name
UNSEEN = (
    "how often a page is visited within a step; child processes; what a program without dynamic linking does; "
    "accesses while a step is read out; pages locked in memory and of hugetlbfs"
)


def runs(page: NDArray[np.int64]) -> list[tuple[int, int]]:
    """First page and length of each run of neighbours, of ascending pages."""
    if not page.size:
        return []
    starts = np.flatnonzero(np.diff(page, prepend=page[0] - 2) != 1)
    return list(zip(page[starts].tolist(), np.diff(starts, append=page.size).tolist(), strict=True))


def visited(mappings: list[Mapping], written: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pages visited in a step; of a piece of which not all were, the written ones and the lowest others."""
    parts = []
    for each in mappings:
        first = each.start >> 12
        if each.accessed >= each.pages:
            parts.append(np.arange(first, first + each.pages))
        elif each.accessed:
            low, high = np.searchsorted(written, [first, first + each.pages])
            mine = written[low:high]
            others = np.setdiff1d(np.arange(first, first + min(each.pages, each.accessed + mine.size)), mine, assume_unique=True)
            parts.append(np.sort(np.concatenate([mine, others[: max(each.accessed - mine.size, 0)]])))
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


class Numbering:
    """Numbers pages densely, in blocks of 2 MiB in the order of first visit, and keeps neighbours."""

    def __init__(self) -> None:
        self._block: dict[int, int] = {}

    def __call__(self, page: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers of pages, ascending."""
        blocks, place = np.unique(page // BLOCK, return_inverse=True)
        number = np.array([self._block.setdefault(block, len(self._block)) for block in blocks.tolist()], np.int64)
        return np.sort(number[place] * BLOCK + page % BLOCK) if page.size else page


def choose_grain(mappings: list[Mapping]) -> int:
    """Pages of a piece: the least power of two with which there are not too many pieces."""
    pages = sum(each.pages for each in mappings if each.pages <= SPARSE * (each.resident + BLOCK))
    grain = 1
    while pages > MOST_PIECES * grain:
        grain *= 2
    return grain


def cuts(mappings: list[Mapping], grain: int) -> list[tuple[int, int, int]]:
    """Advice that cuts mappings larger than a piece: every other piece of the address space is left out of core dumps."""
    advice = []
    size = grain << 12
    for each in mappings:
        whole = each.start // size == (each.end - 1) // size
        if whole or not each.resident or each.pages > SPARSE * (each.resident + BLOCK):
            continue
        for start in range(each.start // size * size, each.end, size):
            low, high = max(start, each.start), min(start + size, each.end)
            advice.append((low, high - low, NO_DUMP if start // size & 1 else DUMP))
    return advice


class Recorder:
    """Reads out a program step by step.

    Parameters
    ----------
    agent : Agent

    Attributes
    ----------
    rows : list
        Of the table: (time, vm, first, pages, written, visits, busy).
    grain : int
        The coarsest so far.
    sees_writes : bool
    """

    def __init__(self, agent: Agent) -> None:
        self.agent, self.pid = agent, agent.process.pid
        self.rows: list[tuple[float, int, int, int, int, int, float]] = []
        self.grain, self.sees_writes, self.last = 1, True, 0
        self._number = Numbering()
        self._cpu = self._busy()
        self._known: set[tuple[int, int]] = set()
        self._mappings: list[Mapping] = []  # as they were read out last: a step less old would take as long again to read

    @property
    def pages(self) -> int:
        """How many were visited at some time."""
        return int(sum(size for _, size in _merged([(row[2], row[3]) for row in self.rows])))

    def _busy(self) -> float:
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def prepare(self) -> bool:
        """Cut what is new, and begin a step; whether anybody answered."""
        mappings = self._mappings or read_mappings(self.pid)
        if not mappings:
            return False
        self.grain = max(self.grain, choose_grain(mappings))
        ranges = joined(mappings)
        noted = [(start, end - start, NOTE_WRITES) for start, end in _writable(mappings) if (start, end) not in self._known]
        self._known = set(_writable(mappings))
        answer = self.agent.ask([*noted, *cuts(mappings, self.grain)])
        if answer is None:
            return False
        answer = self.agent.ask([(start, end - start, COLD) for start, end in ranges])
        forget_accesses(self.pid)
        take_written(self.pid, _writable(mappings))
        return answer is not None

    def read_out(self, begun: float, took: float) -> None:
        """Add the rows of a step that began at a time (s), and took so long."""
        self._mappings = mappings = read_mappings(self.pid)
        if not mappings:
            return
        written = take_written(self.pid, _writable(mappings))
        if written is None:
            if not read_mappings(self.pid):  # it has just ended
                return
            self.sees_writes, written = False, np.zeros(0, np.int64)
        written = np.sort(written)
        page = visited(mappings, written)
        self.last = page.size
        cpu = self._busy()
        busy = round(max(cpu - self._cpu, 0.0) / took, 4)
        self._cpu = cpu
        wrote = np.isin(page, written, assume_unique=True)
        for which, share in ((wrote, 1), (~wrote, 0)):
            for first, pages in runs(self._number(page[which])):
                self.rows.append((round(begun, 4), 0, first, pages, share * pages, pages, busy))


def _merged(extents: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Extents that cover the same pages, and none twice."""
    done: list[tuple[int, int]] = []
    for first, size in sorted(extents):
        if done and first <= done[-1][0] + done[-1][1]:
            begin, before = done.pop()
            done.append((begin, max(before, first + size - begin)))
        else:
            done.append((first, size))
    return done


def _writable(mappings: list[Mapping]) -> list[tuple[int, int]]:
    return joined([each for each in mappings if each.writable])


def check_name(path: Path) -> None:
    """Refuse a name that doesn't say how the table is written.

    Raises
    ------
    MemvirtError
    """
    if path.suffix not in ENDINGS:
        raise MemvirtError(f"{path}: tables of pages are named {' or '.join(f'NAME{ending}' for ending in ENDINGS)}")


def write(rows: Sequence[tuple[Any, ...]], path: Path, about: dict[str, str]) -> None:
    """Write the table, as CSV or Parquet by its name, whole or not at all; rows may end before ``busy``.

    Raises
    ------
    WriteError
        If the place can't be written.
    """
    columns = list(zip(*rows, strict=True))
    types = [pa.float64(), pa.int32(), pa.int64(), pa.int64(), pa.int64(), pa.int64(), pa.float64()]
    table = pa.table({name: pa.array(column, kind) for name, column, kind in zip(COLUMNS, columns, types, strict=False)})
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".csv":
            with part.open("wb") as file:
                file.write("".join(f"# {key}: {' '.join(value.split())}\n" for key, value in about.items()).encode())
                pa_csv.write_csv(table, file, pa_csv.WriteOptions(quoting_style="none"))
        else:
            pq.write_table(table.replace_schema_metadata(about), part, compression="zstd")
        os.replace(part, path)
    except OSError as wrong:
        raise WriteError(path, wrong) from wrong
    finally:
        part.unlink(missing_ok=True)


def record_pages(command: list[str], output: Path, step: float = 1.0) -> Recorder:
    """Run a command, and write which pages it visits in each step, as a table of a page life.

    Parameters
    ----------
    command : list of str
    output : Path
        ``NAME.csv`` or ``NAME.parquet``.
    step : float
        Seconds.

    Raises
    ------
    MemvirtError
        If there is no such command, no C compiler, or nothing was seen.
    KeyboardInterrupt
        After Ctrl-C or SIGTERM (`Terminated`), when all that was recorded until then is written.
    """
    check_name(output)
    if shutil.which(command[0]) is None:
        raise MemvirtError(f"there is no command {command[0]}")
    stopped: KeyboardInterrupt | None = None
    with tempfile.TemporaryDirectory(prefix="memvirt-") as folder, polite_kill():
        agent = Agent(command, build(Path(folder)))
        recorder = Recorder(agent)
        try:
            _watch(recorder, step)
        except KeyboardInterrupt as asked:
            stopped = asked
        finally:
            with suppress(ProcessLookupError):
                os.killpg(agent.process.pid, signal.SIGKILL)
            agent.process.wait()
            agent.close()
    if not recorder.rows:
        why = "ended within a step, or isn't linked dynamically"
        raise MemvirtError(f"nothing was seen of {command[0]}: it {why} (--step {step:g})")
    writes = "seen" if recorder.sees_writes else "not seen: Linux 6.7 or later and userfaultfd see them"
    grain = f"{recorder.grain} pages" if recorder.grain > 1 else "a page"
    about = {"command": shlex.join(command), "step": f"{step:g} s", "grain": grain, "writes": writes, "not seen": UNSEEN}
    write(recorder.rows, output, about)
    if stopped is not None:
        how = "SIGTERM" if isinstance(stopped, Terminated) else "Ctrl-C"
        raise type(stopped)(f"stopped by {how}; kept {output} ({len(recorder.rows):,} rows)")
    return recorder


def _watch(recorder: Recorder, step: float) -> None:
    process = recorder.agent.process
    start = said = time.monotonic()
    every = 1.0 if sys.stderr.isatty() else 10.0
    time.sleep(min(step, FIRST_LOOK))
    while process.poll() is None and recorder.prepare():
        begun = time.monotonic()
        with suppress(Exception):
            process.wait(step)
        recorder.read_out(begun - start, time.monotonic() - begun)
        if time.monotonic() - said > every:
            said = time.monotonic()
            print(f"{said - start:.0f} s, {recorder.last:,} pages visited in the last step", file=sys.stderr, flush=True)
    process.wait()
