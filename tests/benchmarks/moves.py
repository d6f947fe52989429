"""What moving a page and moving a thread takes on this kernel: ``sudo python -m tests.benchmarks.moves`` (Linux, tracefs, two CPUs).

A page: memory with a hole after each page is compacted, and the kernel's own trace points say when each `migrate_pages` began, when it
was over and how many pages it moved: its copy and shootdown included, a fault, and finding a frame to move it to, not. NUMA balancing moves
pages one at a time, so what counts are calls of one page; medians, since interrupts lengthen some.

A thread: `sched_setaffinity` to the other CPU and back, less what the call takes where nothing moves. A vCPU is a thread; what KVM
does besides, loading its control structure anew on another CPU, isn't in it.
"""

from __future__ import annotations

import mmap
import os
import re
import statistics
import time
from pathlib import Path

TRACE = Path("/sys/kernel/tracing")
EVENTS = ("mm_migrate_pages_start", "mm_migrate_pages")
LINE = re.compile(r"\s*(\S+-\d+)\s+\[\d+\]\s+\S+\s+([\d.]+): (\w+):(.*)")
ONLY_PAGES = "nr_failed=0 nr_thp_succeeded=0 nr_thp_failed=0 nr_thp_split=0 nr_split=0"
SIZE, PAGE, ROUNDS, MOVES = 512 << 20, 4096, 10, 20_000


def switch(value: str) -> None:
    """Turn the trace points on or off."""
    for event in EVENTS:
        (TRACE / "events/migrate" / event / "enable").write_text(value)
    (TRACE / "tracing_on").write_text(value)


def compact() -> list[tuple[int, float]]:
    """Pages and time (us) of each call that moved small pages alone."""
    memory = mmap.mmap(-1, SIZE)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    for place in range(0, SIZE, PAGE):
        memory[place] = 1
    for place in range(0, SIZE, 2 * PAGE):
        memory.madvise(mmap.MADV_DONTNEED, place, PAGE)
    (TRACE / "trace").write_text("")
    switch("1")
    Path("/proc/sys/vm/compact_memory").write_text("1")
    switch("0")
    begun: dict[str, float] = {}
    found = []
    for line in filter(None, map(LINE.match, (TRACE / "trace").read_text().splitlines())):
        task, now, event, said = line.groups()
        if event == EVENTS[0]:
            begun[task] = float(now)
        elif task in begun and ONLY_PAGES in said and (pages := int(re.findall(r"nr_succeeded=(\d+)", said)[0])):
            found.append((pages, (float(now) - begun.pop(task)) * 1e6))
    return found


def thread() -> tuple[float, float]:
    """Medians (us) of setting a thread's CPU to another one, and to that which it is on."""
    moved, stayed = [], []
    for turn in range(MOVES):
        for times in (moved, stayed):
            begun = time.perf_counter_ns()
            os.sched_setaffinity(0, {turn & 1})
            times.append((time.perf_counter_ns() - begun) / 1e3)
    return statistics.median(moved), statistics.median(stayed)


if __name__ == "__main__":
    calls = [call for _ in range(ROUNDS) for call in compact()]
    for least, most in ((1, 1), (2, 8), (9, 64), (65, 512)):
        each = [took / pages for pages, took in calls if least <= pages <= most]
        print(f"calls of {least} to {most} pages: {statistics.median(each):.2f} us a page ({len(each)} calls)")
    moved, stayed = thread()
    print(f"a thread: {moved:.2f} us to another CPU, {stayed:.2f} us to none; {moved - stayed:.2f} us")
