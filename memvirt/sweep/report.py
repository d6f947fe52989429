"""What a sweep says while it runs and when it is done."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from memvirt.sweep.engine import Engine

EVERY = 10.0  #: seconds between lines where there is no terminal


class Watch:
    """A progress bar on a terminal, a plain line now and then elsewhere; on standard error."""

    def __init__(self, points: int, kept: int) -> None:
        self.points, self.done, self.failed = points, kept, 0
        self.console = Console(stderr=True)
        self.begin = self.last = time.monotonic()
        self.bar: Progress | None = None
        if self.console.is_terminal:
            columns = [
                TextColumn("points"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[doing]}"),
                TimeElapsedColumn(), TimeRemainingColumn(),
            ]  # fmt: skip
            self.bar = Progress(*columns, console=self.console, transient=True)
            self.task = self.bar.add_task("", total=points, completed=kept, doing="")
            self.bar.start()

    def one_more(self, ok: bool) -> None:
        """Count a point that is over."""
        self.done += 1
        self.failed += not ok

    def __call__(self, engine: Engine) -> None:
        """Show where the sweep is."""
        rooms = [engine.nodes[name].stage.room for name in engine.running]
        doing = ", ".join(f"{rooms.count(room)} {room}" for room in dict.fromkeys(rooms))
        failed = f", {self.failed} failed" if self.failed else ""
        if self.bar is not None:
            self.bar.update(self.task, completed=self.done, doing=f"[{doing}{failed}]")
        elif time.monotonic() - self.last >= EVERY:
            self.last = time.monotonic()
            said = f"{self.last - self.begin:.0f} s: {self.done} of {self.points} points{failed}; running {doing or 'nothing'}"
            print(said, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.stop()


def stage_report(tallies: dict[str, Any]) -> str:
    """Room by room: stages asked for and distinct, the CPU time they took, what sharing saved, and compilation."""
    lines = [f"{'room':<10}{'asked for':>11}{'distinct':>10}{'CPU-s':>9}{'CPU-s saved':>13}{'compiling, s':>14}"]

    def line(room: str, *values: float) -> None:
        asked, distinct, seconds, saved, compiling = values
        lines.append(f"{room:<10}{asked:>11,.0f}{distinct:>10,.0f}{seconds:>9.2f}{saved:>13.2f}{compiling:>14.2f}")

    columns = [(t.asked, t.distinct, t.seconds, t.saved, t.compiling) for t in tallies.values()]
    for room, values in zip(tallies, columns, strict=True):
        line(room, *values)
    line("all", *map(sum, zip(*columns, strict=True)))
    return "\n".join(lines)
