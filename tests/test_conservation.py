"""No page and no frame is lost, doubled or mixed up, whatever VMs run on whatever host: the world's books, recounted again and again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.plain import Checker

#: Scanners at a pace at which a page is looked at some ten times in a run: in plain Python, each look takes 0.1 ms and more.
SCANNERS = {"ksm": ["reclaim.sharing.pages_to_scan=20", "reclaim.sharing.sleep=1s"], "esx": ["reclaim.sharing.pages_per_second=20"]}
SHARES = {"sharing": "ksm", "linux": "ksm", "esx": "esx"}  # what each policy scans with if nothing else is said
COMMON = ["workload.accesses=700", "clock.quantum=40", "clock.daemon_speedup=20000", "reclaim/device=cxl", "epoch.accesses=150"]
#: So that background work sees some minutes of a run that waits for no device, too.
SLOWLY = ["clock.ns_per_instruction=1us"]
WORKLOADS = ["workload=zipf", "workload=uniform", "workload=stream", "workload=phases"]
RECLAIM = {
    "swap": [["reclaim/replacement=lru"], ["reclaim/replacement=clock"], ["reclaim/replacement=random"], ["reclaim/replacement=linux"],
             ["reclaim/compression=zswap"], ["reclaim/sharing=ksm"], ["reclaim/replacement=opt", "reclaim/sharing=ksm"]],
    "balloon": [[], ["reclaim.swap=false"], ["reclaim/balloon=free_page_reporting"], ["reclaim.balloon.deflate_on_oom=true"],
                ["reclaim/compression=slots", "reclaim.balloon.cap=0.1"], ["reclaim/sharing=esx"]],
    "compression": [[], ["reclaim/compression=zswap"], ["reclaim.compression.cap=0.02"], ["reclaim/replacement=fifo"]],
    "sharing": [[], ["reclaim.swap=false"], ["reclaim/sharing=esx"], ["reclaim.sharing.max_page_sharing=4"]],
    "esx": [[], ["reclaim.states=esx4"]],
    "linux": [[]],
}  # fmt: skip


@st.composite
def designs(draw: st.DrawFn) -> list[str]:
    """A mix of VMs, a host and a policy."""
    reclaim = draw(st.sampled_from(sorted(RECLAIM)))
    options = draw(st.sampled_from(RECLAIM[reclaim]))
    words = [*COMMON, *SLOWLY, draw(st.sampled_from(WORKLOADS)), f"reclaim={reclaim}", *options]
    chosen = [word.partition("=")[2] for word in options if word.startswith("reclaim/sharing=")]
    scanner = (chosen or [SHARES.get(reclaim, "none")])[0]
    words += SCANNERS.get(scanner, [])
    words += [f"vms.count={draw(st.integers(1, 3))}", f"overcommit.ratio={draw(st.sampled_from([1.0, 1.3, 1.8, 3.0]))}"]
    words += [f"vms.cache={draw(st.sampled_from(['0', '48KiB']))}", f"workload.seed={draw(st.integers(0, 99))}"]
    words += ["contents.zero=0.2", "contents.common=0.5", f"contents.distinct={draw(st.sampled_from(['null', '5', '40']))}"]
    words += draw(st.sampled_from([[], ["workload.remap_every=37", "workload.remap_pages=3"], ["workload.fork_every=200"]]))
    words += draw(st.sampled_from([[], ["vms.limit=200KiB"], ["guest.swap=300KiB", "vms.memory=400KiB"], ["guest.prefault=true"]]))
    words += draw(
        st.sampled_from(
            [
                [],
                ["overcommit.charge_tables=true"],
                ["numa=two_socket"],
                ["numa=two_socket", "numa/scheduler=naive", "numa.scheduler.period=5us"],
                [
                    "numa=two_socket",
                    "numa/scheduler=naive",
                    "numa.scheduler.period=5us",
                    "numa/migration=autonuma",
                    "numa.migration.scan_size=64KiB",
                ],
                ["workload.idle_every=90", "workload.idle_time=1ms"],
            ]
        )
    )
    words += draw(st.sampled_from([[], ["guest.table_area=blocks"], ["guest.table_area=range"]]))
    return [*words, f"workload.footprint={draw(st.sampled_from(['128KiB', '400KiB']))}"]


def nothing_is_lost(plain: Checker, words: list[str]) -> None:
    """Frames free + used = total; references = mappings; what is read is what was written; or the run ends and says what was full."""
    found = plain(*words)
    if "refused" in found:  # replacement without groups, where some VM has a limit
        assert "reclaim.replacement" in found["refused"]
    else:
        assert found["checks"] > 0 or "full" in found["ended"] or "out of memory" in found["ended"]


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(designs())
def test_nothing_is_lost(plain: Checker, words: list[str]) -> None:
    """In a few mixes."""
    nothing_is_lost(plain, words)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(designs())
def test_nothing_is_lost_in_many(plain: Checker, words: list[str]) -> None:
    """In many."""
    nothing_is_lost(plain, words)


LARGE = [
    "workload=zipf",
    "workload.footprint=4MiB",
    "workload.accesses=900",
    "vms.count=2",
    "vms.cache=256KiB",
    "overcommit.ratio=1.5",
]


def of_large_pages() -> Iterator[Any]:
    """Each policy with each pair of page sizes; in plain Python a scanner takes seconds, so that most of theirs are slow tests."""
    for reclaim, guest, host in itertools.product(["swap", "balloon", "sharing", "esx"], ["4K", "2M", "thp"], ["2M", "thp"]):
        quick = reclaim in ("swap", "balloon") or (guest, host) in (("2M", "2M"), ("4K", "thp"))
        yield pytest.param(reclaim, guest, host, marks=[] if quick else pytest.mark.slow)


@pytest.mark.parametrize(("reclaim", "guest", "host"), of_large_pages())
def test_large_pages(plain: Checker, reclaim: str, guest: str, host: str) -> None:
    """Large pages are split before they are shared or given up in part."""
    words = [f"host.page_size={host}", f"guest.page_size={guest}", f"reclaim={reclaim}", "contents.zero=0.5"]
    assert plain(*COMMON, *LARGE, *words, "clock.daemon_speedup=2000")["checks"] > 0


@pytest.mark.parametrize("reclaim", ["swap", "sharing"])
def test_a_process_gives_back_what_it_frees(plain: Checker, reclaim: str) -> None:
    """Clean cache that is dropped, and what goes to a swap file of the process's own, is the host's again."""
    words = ["workload=zipf", "workload.accesses=700", "workload.footprint=400KiB", "vms.memory=400KiB", "vms.cache=48KiB"]
    words += ["guest.swap=300KiB", "mmu=native", f"reclaim={reclaim}", "contents.zero=0.2", "epoch.accesses=150"]
    words += [*SLOWLY, *SCANNERS["ksm"]] if reclaim == "sharing" else []
    found = plain(*words, "clock.quantum=40", "clock.daemon_speedup=20000")
    assert "ended" not in found
    assert found["cache_dropped_pages"] > 0
