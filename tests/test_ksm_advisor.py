"""KSM's advisor: the kernel's own steps, and a scan that comes to take the time that is wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memvirt.errors import ConfigError
from memvirt.memory.sharing import _advisor
from tests.plain import Checker
from tests.support import point, write_pages

#: Linux 6.18, 131,072 pages, no two alike, 20 ms between wakings, a target of 3 s: after each full scan, ms that it took and that ksmd ran,
#: and pages_to_scan then, which was 500 before.
KERNEL = (
    (6971, 125, 2500),
    (5139, 798, 1874),
    (5727, 817, 1905),
    (6082, 950, 2971),
    (5190, 829, 3911),
    (4616, 749, 4119),
    (4751, 790, 4668),
    (4817, 806, 5539),
)


def test_the_kernels_steps() -> None:
    """All eight, equal."""
    advised = getattr(_advisor.advised, "py_func", _advisor.advised)
    advisor: Any = _advisor.make_advisor("scan-time", 3, 70, 30000)
    pages, found = 500, []
    for took, ran, _ in KERNEL:
        seconds = took // 1000
        pages = int(advised(advisor, pages, seconds, max(ran * 100 // (seconds * 1000), 1)))
        found.append(pages)
    assert found == [each for *_, each in KERNEL]
    assert advised(_advisor.make_advisor("scan-time", 1, 70, 30000), 25000, 9, 1) == 30000
    assert advised(_advisor.make_advisor("scan-time", 1, 20, 30000), 1000, 9, 10) == 2000  # a fifth of a CPU


def test_in_the_machine(plain: Checker, tmp_path: Path) -> None:
    """500 pages, ten of them at a waking of 50 ms: more where a scan should take a second, and a tenth of a CPU at the least."""
    path = write_pages(tmp_path / "pages.parquet", [*range(500), *[0] * 2500])
    words = ("mmu=native", "workload=trace", f"workload.path={path}", "reclaim=sharing", "clock.ns_per_instruction=4ms",
             "epoch.accesses=null", "clock.scan=200us", "reclaim.sharing.sleep=50ms", "reclaim.sharing.smart_scan=false")  # fmt: skip
    alone = plain(*words, "reclaim.sharing.pages_to_scan=10")["vms"][0]["ksm_pages_scanned"]
    begins = (*words, "reclaim.sharing.advisor_mode=scan-time", "reclaim.sharing.advisor_min_pages_to_scan=10")
    soon, late = (
        plain(*begins, f"reclaim.sharing.advisor_target_scan_time={target}")["vms"][0]["ksm_pages_scanned"] for target in (1, 1000)
    )
    assert alone < 0.8 * late
    assert late <= soon


def test_what_there_is_not() -> None:
    """A mode of another name."""
    with pytest.raises(ConfigError, match=r"advisor_mode=often: .*none, scan-time"):
        point("reclaim=sharing", "reclaim.sharing.advisor_mode=often")
