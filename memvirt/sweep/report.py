"""What a sweep says while it runs and when it is done."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from memvirt.jit import compiling
from memvirt.sweep.engine.engine import Engine
from memvirt.sweep.engine.node import Tally

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

EVERY = 10.0  #: seconds between lines where there is no terminal
LOOK = 0.2  #: seconds between looks at what is running


COMPILING = "compiling kernels (first run only)"


def clock(seconds: float) -> str:
    """A time as people read it: 0:42, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def view(title: str, console: Console) -> Progress:
    """The live view, whole at 80 columns: what is done and the times come before what is running, which is cut if it must be."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.table import Column

    whole = Column(no_wrap=True)
    columns = [
        TextColumn(title, table_column=whole), BarColumn(8, table_column=whole), MofNCompleteColumn(table_column=whole),
        TextColumn("{task.fields[times]}", table_column=whole),
        TextColumn("{task.fields[doing]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
    ]  # fmt: skip
    return Progress(*columns, console=console, transient=True, expand=True)


class Voice(NamedTuple):
    """Says how a sweep goes, and what came of it.

    Attributes
    ----------
    heard : bool
        Whether it says anything.
    """

    heard: bool

    def say(self, text: str) -> None:
        """Tell the user something on the way, on standard error."""
        if self.heard:
            print(text, file=sys.stderr, flush=True)

    def conclude(self, text: str) -> None:
        """Tell the user an outcome, on standard output."""
        if self.heard:
            print(text)


class Watch:
    """A live view on a terminal, a plain line now and then elsewhere; on standard error."""

    def __init__(self, voice: Voice, points: int, kept: int, title: str = "points") -> None:
        self.points, self.kept, self.done, self.failed = points, kept, kept, 0
        self.voice, self.title = voice, title
        self.begin = self.last = self.looked = time.monotonic()
        self.compiling = 0.0  # seconds in which kernels were compiled: of no use to tell how long the rest takes
        self.bar: Progress | None = None
        if voice.heard and sys.stderr.isatty():
            from rich.console import Console

            self.bar = view(title.partition(" ")[0], Console(stderr=True))
            self.task = self.bar.add_task("", total=points, completed=kept, doing="", times="")
            self.bar.start()

    def more(self, points: int, failed: bool = False) -> None:
        """Count points that are over."""
        self.done += points
        self.failed += points if failed else 0

    def __call__(self, engine: Engine) -> None:
        """Show where the sweep is."""
        now = time.monotonic()
        if now - self.looked < LOOK:
            return
        compiles = compiling() > 0
        if compiles:
            self.compiling += now - self.looked
        self.looked = now
        if now - self.last < (LOOK if self.bar is not None else EVERY):
            return
        self.last = now
        rooms = [batch[0].stage.room for batch in engine.running.values()]
        counts = {room: sum(len(b) for b in engine.running.values() if b[0].stage.room == room) for room in dict.fromkeys(rooms)}
        doing = ", ".join(f"{count} {room}" for room, count in counts.items()) or "nothing"
        failed = f"{self.failed} failed, " if self.failed else ""
        seconds = max(now - self.begin - self.compiling, LOOK)
        rate = (self.done - self.kept) / seconds
        computed = sum(tally.computed for tally in engine.tallies.values())
        stages = f"{computed} stages done"
        times = f"elapsed {clock(now - self.begin)}"
        if self.done > self.kept and not compiles:
            times += f", remaining {clock((self.points - self.done) / rate)}"
        state = COMPILING if compiles else f"running {doing}"
        if self.bar is not None:
            self.bar.update(self.task, completed=self.done, doing=f"{failed}{state}", times=times)
            return
        self.voice.say(f"{self.done} of {self.points} {self.title}, {times}; {failed}{rate:.1f}/s, {stages}, {state}")

    def close(self) -> None:
        """Take the view away."""
        if self.bar is not None:
            self.bar.stop()


def stage_report(tallies: dict[str, Tally]) -> str:
    """Room by room: stages asked for, planned, distinct, computed, reused and failed; CPU time, compilation, what sharing saved."""
    names = ("asked for", "planned", "distinct", "computed", "reused", "failed", "CPU-s", "compiling, s", "CPU-s saved")
    lines = [f"{'room':<9}" + "".join(f"{name:>{max(10, len(name) + 2)}}" for name in names)]

    def line(room: str, *values: float) -> None:
        cells = [f"{value:,.0f}" if place < 6 else f"{value:,.2f}" for place, value in enumerate(values)]
        widths = [max(10, len(name) + 2) for name in names]
        lines.append(f"{room:<9}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)))

    columns = [
        (t.asked, t.planned, t.distinct, t.computed, t.reused, t.failed, t.seconds, t.compiling, t.saved) for t in tallies.values()
    ]
    for room, values in zip(tallies, columns, strict=True):
        line(room, *values)
    line("all", *map(sum, zip(*columns, strict=True)))
    return "\n".join(lines)
