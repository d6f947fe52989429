"""KSM's advisor: how many pages are scanned at a waking, so that a full scan takes the time that is wanted (mm/ksm.c since 6.8).

After each full scan `pages_to_scan` is set anew by how much longer or shorter than wanted it took, smoothed by how scan times
change, within what ksmd may take of a CPU: `scan_time_advisor`, in the kernel's whole numbers. Measured on Linux 6.18, scan by scan
(`tests/test_ksm_advisor.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt.jit import inner, kernel
from memvirt.memory.state import Now, World
from memvirt.typing import Int

MODES = ("none", "scan-time")  #: as in /sys/kernel/mm/ksm/advisor_mode
LEAST_CPU = 10  #: per cent of a CPU that ksmd is given at the least (KSM_ADVISOR_MIN_CPU)
NEW = 30  #: per cent that the last change weighs (EWMA_WEIGHT)

ADVISOR = np.dtype(
    [
        ("advises", "<i8"),  # 1 or 0
        ("target", "<i8"),  # s that a full scan should take
        ("most_cpu", "<i8"),  # per cent of a CPU that ksmd may take
        ("most_pages", "<i8"),  # that are scanned at a waking
        ("change", "<i8"),  # of scan times, per cent, smoothed
        ("scan_time", "<i8"),  # s that the last full scan took, 0 before
        ("scanned", "<i8"),  # pages that were scanned up to then
        ("began_ns", "<f8"),  # when this one began
    ],
    align=True,
)


def make_advisor(mode: str, target: int, most_cpu: int, most_pages: int) -> Any:
    """An advisor that has seen no full scan yet."""
    return np.array([(int(mode != "none"), target, most_cpu, most_pages, 0, 0, 0, 0.0)], ADVISOR).view(np.recarray)


@kernel
def advised(advisor: Any, pages: Int, scan_time: Int, cpu: Int) -> Int:
    """Pages to scan from now on, after a full scan of so many seconds at so many per cent of a CPU; both 1 at the least."""
    last = np.int64(advisor[0].scan_time) if advisor[0].scan_time > 0 else scan_time
    factor = max(np.int64(advisor[0].target) * 100 // np.int64(scan_time), np.int64(1))
    change = ((100 - NEW) * np.int64(advisor[0].change) + NEW * max(scan_time * 100 // last, 1)) // 100
    advisor[0].change, advisor[0].scan_time = change, scan_time
    of_a_percent = max(pages // cpu, 1)
    wanted = min(pages * 100 // factor * change // 100, of_a_percent * np.int64(advisor[0].most_cpu))
    return np.int64(min(max(wanted, of_a_percent * LEAST_CPU), np.int64(advisor[0].most_pages)))


@inner
def advise(advisor: Any, world: World, now: Now, pages: Int, scanned: Int) -> Int:
    """Pages to scan from now on, at the end of a full scan; ``scanned`` in all so far."""
    took = (now.time_ns - advisor[0].began_ns) * world.rules[0].speedup
    seconds = max(np.int64(took / 1e9), np.int64(1))
    worked_ms = np.int64((scanned - advisor[0].scanned) * world.rules[0].scan_ns / 1e6)
    advisor[0].began_ns, advisor[0].scanned = now.time_ns, scanned
    cpu = max(worked_ms * 100 // (seconds * 1000), np.int64(1))
    return np.int64(advised(advisor, np.int64(pages), seconds, cpu))
