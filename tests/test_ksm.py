"""Scanners for equal pages: KSM's beside the real kernel's, row by row, its books against a recount, and laws of sharing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from memvirt.errors import CapacityError
from memvirt.memory.sharing import ksm
from memvirt.memory.state import World
from memvirt.pipeline.compute import simulate
from tests.ksm_replay import at, back_pages, burst, contents_of, counters, distinct, machine, read, replay, scan_until, unmap, used
from tests.support import here, point, row, rows

SHARED, SHARING, UNSHARED, VOLATILE, FULL_SCANS = range(5)
SLOW = ["writes_again", "whole_batches", "few_contents", "many_contents", "late", "huge_writes", "rewrites"]


def sound(world: World) -> None:
    """References are mappings, and a host frame that several map holds what all of them hold."""
    mapped = used(world)
    refs = np.bincount(mapped, minlength=world.host_frames.size)
    assert (refs[refs > 0] == world.host_frames.refs[refs > 0]).all()
    order = np.argsort(mapped, kind="stable")
    content = world.frames.content[(world.frames.hfn >= 0) & (world.frames.role == 1)]
    assert (content[order][1:] == content[order][:-1])[mapped[order][1:] == mapped[order][:-1]].all()
    if world.rules[0].dimensions == 1:  # else parts of large pages are backed beside those that hold data
        assert world.clock[0].total - world.clock[0].free == np.unique(mapped).size
        assert world.vms[0].resident - world.vms[0].saved == np.unique(mapped).size


def recount(world: World) -> list[int]:
    """Pages shared, sharing and unshared, from KSM's items."""
    items, nodes = world.policies.sharing.items, world.policies.sharing.nodes
    listed = items[(items.where == ksm.STABLE) & (nodes.serial[items.node] == items.serial)]
    lengths = np.bincount(listed.node, minlength=nodes.size)
    assert (lengths[lengths > 0] == nodes.length[lengths > 0]).all()
    merged = np.count_nonzero(lengths)
    return [merged, listed.size - merged, np.count_nonzero(items.where == ksm.UNSTABLE)]


def test_the_final_counts_of_the_static_run_are_the_kernels() -> None:
    """And each row's, but for a page that is visited while the counters are read."""
    run = read("static")
    found, world = replay(run)
    assert found[-1].tolist() == run.rows[-1].tolist()
    assert np.abs(found - run.rows).max() <= 1
    assert recount(world) == found[-1, : UNSHARED + 1].tolist()
    sound(world)


@pytest.mark.parametrize(
    "name",
    [
        *("writes", "short_chains", "smart_scan", "late_writes", "huge", "rewrites_short_chains"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW),
    ],
)
def test_every_row_is_the_kernels(name: str) -> None:
    """Within half a percent, or as many pages as are visited during a burst; all were measured, none was fitted to."""
    run = read(name)
    found, world = replay(run)
    share = 0.03 if name == "rewrites" else 0.005  # there, pages that change to another's content mislead the kernel's first scan
    pages = run.arguments["pages"] + run.arguments["late"]
    slack = np.maximum(share * run.rows, (0.025 if name == "rewrites" else 0.0) * pages + run.arguments["writes"] / 7)
    off = np.abs(found - run.rows)
    assert (off <= np.maximum(slack, 42))[:, :FULL_SCANS].all()
    assert (np.median(off, axis=0)[:FULL_SCANS] <= 0.005 * np.median(run.rows, axis=0)[:FULL_SCANS] + 1).all()
    assert off[:, FULL_SCANS].max() <= 1
    assert recount(world) == found[-1, : UNSHARED + 1].tolist()
    sound(world)


def test_a_page_is_merged_on_its_second_unchanged_visit() -> None:
    """Two equal pages; a third that comes later merges on its second visit, on its first with Linux 6.10."""
    for first_sight in (False, True):
        options = ["reclaim.sharing.sleep=1ms", f"reclaim.sharing.first_sight={first_sight}"]
        world = machine(np.array([5, 5, 5]), *options, backed=2)
        shared, due = [], 0.0
        for scan in range(4):
            if scan == 2:
                back_pages(world, 2, 3)
            due = scan_until(world, at(1.05 * scan), due)
            shared.append(distinct(world))
        assert shared == ([2, 1, 1, 1] if first_sight else [2, 1, 2, 1])


@pytest.mark.parametrize(("sleep", "seconds"), [(20, 44), (100, 220), (200, 440)])
def test_pages_at_a_pace(sleep: int, seconds: int) -> None:
    """Of 220,000 pages, 100 every 20, 100 or 200 ms: a full scan takes 44, 220, 440 s (XLH, ATC'13, table 2)."""
    world = machine(np.arange(1, 220_001), "clock.scan=0", f"reclaim.sharing.sleep={sleep}ms")
    due = scan_until(world, at(seconds * 1e3 - 1), 0.0)
    assert counters(world)[FULL_SCANS:] == [0, 220_000]
    scan_until(world, at(seconds * 1e3), due)
    assert counters(world)[FULL_SCANS] == 1


def test_a_frame_that_is_no_longer_backed_leaves_the_books() -> None:
    """Its item goes when the scanner passes."""
    world = machine(np.array([5, 6, 6, 7]), "reclaim.sharing.sleep=1ms")
    due = scan_until(world, at(2), 0.0)
    assert recount(world) == [1, 1, 2]
    world.frames.hfn[world.pages.frame[3]] = -1
    scan_until(world, at(4), due)
    assert recount(world) == [1, 1, 1]
    assert world.policies.sharing.cursor[0].items_used == 3


def test_a_writer_gets_a_page_of_its_own() -> None:
    """Three share a page; the last that is left is copied too when it is written, as Linux does."""
    world = machine(np.array([5, 5, 5, 6]), "reclaim.sharing.smart_scan=false")
    due = scan_until(world, at(100), 0.0)
    assert distinct(world) == 2
    for page, left in ((0, 3), (1, 4), (2, 4)):
        hfn = int(world.frames.hfn[world.pages.frame[page]])
        burst(world, at(100), np.array([page]), np.array([-1]))
        assert world.frames.hfn[world.pages.frame[page]] != hfn
        assert distinct(world) == left
        sound(world)
    assert world.counts.merges.sum() == 2
    scan_until(world, at(200), due)
    assert recount(world) == [0, 0, 4]


@pytest.mark.parametrize("scanner", ["ksm", "esx"])
def test_large_host_pages_are_split_before_they_are_shared(scanner: str) -> None:
    """Two of three large pages have a page in common; the third stays as it is."""
    contents = np.arange(1, 3 * 512 + 1)
    contents[600] = contents[200]
    words = [f"reclaim/sharing={scanner}", "host.page_size=2M", "guest.page_size=2M", "clock.daemon_speedup=1000"]
    world = machine(contents, *words, dimensions=2)
    frames = world.pages.frame
    assert (world.frames.order[frames] == 9).all()
    scan_until(world, at(100), 0.0)
    assert world.counts.split_pages.sum() == 2
    assert world.frames.order[frames].tolist() == [0] * 1024 + [9] * 512
    assert world.frames.hfn[frames[600]] == world.frames.hfn[frames[200]]
    sound(world)


def test_hints_find_nearly_all_that_can_be_shared() -> None:
    """A page drawn n times of n is missed with probability 1/e; after 6 n draws, hardly any is left."""
    words = ["reclaim/sharing=esx", "reclaim.sharing.pages_per_second=1000000"]
    world = machine(contents_of(8000, 1000), *words)
    due = scan_until(world, at(8), 0.0)
    sound(world)
    seen = world.policies.sharing.seen[0]
    assert abs(seen.pages_scanned - 8000) <= 1
    assert 0.36 < distinct(world) / 8000 < 0.50
    due = scan_until(world, at(48), due)
    assert distinct(world) <= 1000 + 8000 * 0.01
    assert seen.stale_hints == 0
    burst(world, at(48), np.arange(8000), np.full(8000, -1))
    scan_until(world, at(56), due)
    assert distinct(world) == 8000
    sound(world)


def mixed(part: int) -> tuple[NDArray[np.int64], int]:
    """Difference Engine's mix (OSDI'08, table 1): zeros, sharable pages of few contents, unique ones; and how many should be left."""
    zeros, sharable, contents, unique = 149_038 // part, 52_436 // part, 3_577 // part, 191_646 // part
    numbers = [np.zeros(zeros, np.int64), 1 + np.arange(sharable) % contents, 10_000 + np.arange(unique)]
    return np.concatenate(numbers), 1 + contents + unique


def alike() -> tuple[NDArray[np.int64], int]:
    """Ten VMs, of each 67 % common: c (1 - 1 / V) = .603 is reclaimed (OSDI'02, figure 4)."""
    return np.concatenate([np.concatenate([np.arange(670), (vm + 1) * 1000 + np.arange(330)]) for vm in range(10)]), 10_000 - 6_030


def test_all_of_a_mix_that_can_be_shared_is() -> None:
    """Of 393,120 pages, 195,224 host pages are left: one for all zeros, one for each sharable content, and the unique ones."""
    contents, left = mixed(1)
    assert (contents.size, left) == (393_120, 195_224)
    words = ["reclaim.sharing.max_page_sharing=1000000", "reclaim.sharing.pages_to_scan=500000", "reclaim.sharing.smart_scan=false"]
    world = machine(contents, *words)
    scan_until(world, at(1200), 0.0)
    assert counters(world)[FULL_SCANS] >= 2
    assert distinct(world) == left
    sound(world)


@pytest.mark.parametrize(("contents", "left"), [mixed(40), alike()])
def test_scanners_leave_each_content_once(contents: NDArray[np.int64], left: int) -> None:
    """KSM in two scans, where nothing limits who may share; ESX when it has drawn each page a dozen times."""
    world = machine(contents, "reclaim.sharing.max_page_sharing=1000000", "clock.daemon_speedup=10000")
    scan_until(world, at(10), 0.0)
    assert distinct(world) == left
    sound(world)
    world = machine(contents, "reclaim/sharing=esx", "reclaim.sharing.pages_per_second=1000000")
    scan_until(world, at(12 * contents.size / 1e3), 0.0)
    assert left <= distinct(world) <= left * 1.01
    sound(world)


def test_a_reused_frame_leaves_its_merged_page() -> None:
    """A frame that was freed while it was merged is cleared when the guest uses it again, and the others' page is not."""
    world = machine(np.array([5, 5, 5, 6]), "reclaim.sharing.smart_scan=false", dimensions=2)
    due = scan_until(world, at(100), 0.0)
    frame = int(world.pages.frame[1])
    unmap(world, at(100), np.array([1]))
    due = scan_until(world, at(200), due)
    assert recount(world)[0] == 1
    assert world.host_frames.refs[world.frames.hfn[frame]] == 3
    back_pages(world, 1, 2)
    assert world.pages.frame[1] == frame
    assert world.frames.content[frame] > 1 << 42
    sound(world)
    scan_until(world, at(400), due)
    assert recount(world) == [1, 1, 2]


def test_in_the_whole_simulator() -> None:
    """Writes to merged pages, and nothing else here, fault: an exit and a walk more each, a copy, and time of the host's."""
    words = ["reclaim=sharing", "contents.common=0.8", "contents.distinct=50", "guest.prefault=true", "vms.count=2"]
    words += [
        "workload=zipf",
        "workload.footprint=1MiB",
        "workload.accesses=20000",
        "workload.idle_every=2000",
        "workload.idle_time=200ms",
    ]
    for got in rows(*words, "mmu=nested"):
        assert got["cow_breaks"] > 20
        assert got["vm_exits_ept_violation"] == got["faulting_walks"] == got["cow_breaks"]
        assert got["host_copying_ns"] == got["cow_breaks"] * 25_100
        assert got["host_scanning_ns"] > got["merges"] * 6_200 > 0
        assert got["major_faults"] == got["minor_faults"] == 0
    for got in rows(*words, "mmu=native", "guest.prefault=all"):
        assert got["faulting_walks"] == got["cow_breaks"] > 20


def last_epochs(*words: str) -> tuple[float, float]:
    """Pages saved by all VMs in the end, and pages resident."""
    ends = {row["vm"]: row for row in simulate(point(*words))[1]}.values()
    return sum(row["saved_pages"] for row in ends), sum(row["resident_pages"] for row in ends)


def test_laws_of_sharing() -> None:
    """Ten VMs, 67 % common: .67 (1 - 1 / 10) is reclaimed. M pages over M contents: 1 - (1 - 1 / M)^M short of all, .3679."""
    words = ["reclaim=sharing", "mmu=nested", "guest.prefault=all", "workload=uniform", "workload.write_share=0"]
    words += ["workload.accesses=200", "workload.idle_every=100", "workload.idle_time=1s", "reclaim.sharing.pages_to_scan=20000"]
    saved, resident = last_epochs(*words, "contents.common=0.67", "vms.count=10", "workload.footprint=8MiB")
    assert resident == 20480
    assert abs(saved / resident - 0.603) < 3 * 0.9 * (0.67 * 0.33 / 2048) ** 0.5
    saved, resident = last_epochs(*words, "contents.common=1", "contents.distinct=16384", "workload.footprint=64MiB")
    assert resident == 16384
    assert abs(saved / resident - 0.3679) < 3 * 0.312 / 128


def test_host_that_runs_short_in_spite_of_it() -> None:
    """It swaps, or the run ends, as `reclaim.swap` says; where sharing makes enough room, neither."""
    words = [
        "reclaim=sharing",
        "mmu=nested",
        "workload=uniform",
        "workload.footprint=1MiB",
        "workload.accesses=2000",
        "overcommit.ratio=1.5",
    ]
    got = row(*words)
    assert got["major_faults"] > 0
    with pytest.raises(CapacityError, match="the host is full"):
        row(*words, "reclaim.swap=false")
    words += ["contents.zero=1", "workload.write_share=0", "clock.daemon_speedup=1000000", "clock.quantum=10", "reclaim.swap=false"]
    assert row(*words, "reclaim.sharing.smart_scan=false")["saved_pages"] > 100


SCRIPT = """
import numpy as np
from tests.ksm_replay import at, burst, contents_of, counters, distinct, machine, scan_until
for scanner in ("ksm", "esx"):
    words = [f"reclaim/sharing={scanner}", "host.page_size=2M", "clock.daemon_speedup=100"]
    world = machine(contents_of(600, 40), *words, dimensions=2)
    due = scan_until(world, at(20.0), 0.0)
    burst(world, at(20.0), np.arange(0, 600, 7), np.full(86, -1))
    scan_until(world, at(40.0), due)
    print(counters(world), distinct(world), world.frames.hfn.tolist(), [world.counts[name].sum().item() for name in world.counts.dtype.names])
"""


def test_plain_python_does_the_same() -> None:
    """NUMBA_DISABLE_JIT=1, and without: two scanners, splits, merges and breaks."""
    said = []
    for disabled in ("0", "1"):
        words = [sys.executable, "-W", "ignore", "-c", SCRIPT]
        done = subprocess.run(words, capture_output=True, text=True, timeout=500, env={**os.environ, "NUMBA_DISABLE_JIT": disabled})
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ksm.schedule=nowhere.csv"], "ksm.schedule=nowhere.csv: No such file or directory"),
        (["ksm.schedule=other.csv"], "must be a CSV file with a column pages_scanned"),
        (["ksm.schedule=back.csv"], "row 2: pages_scanned is 3, less than in the row before"),
        (["ksm.sleep=20"], "reclaim.sharing.sleep=20: must be 1ms at the least"),
        (["ksm.page=5"], "ksm.page=5: there is no such key"),
    ],
)
def test_bad_schedules(words: list[str], said: str, tmp_path: Path) -> None:
    """One line, exit 2."""
    (tmp_path / "other.csv").write_text("pages\n3\n")
    (tmp_path / "back.csv").write_text("pages_scanned\n5\n3\n")
    done = here("memvirt.sweep", "experiment=linux_ksm", *words, "executor=serial", cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_zeros_are_left_to_the_zero_page() -> None:
    """Any number of them, apart from all other counts, at the second visit; a write takes one out again, and the last of all too."""
    contents = np.array([0] * 300 + [5, 5, 6])
    words = ("reclaim.sharing.smart_scan=false", "reclaim.sharing.max_page_sharing=8", "reclaim.sharing.pages_to_scan=1000")
    world = machine(contents, *words, "reclaim.sharing.use_zero_pages=true")
    due = scan_until(world, at(100.0), 0.0)
    state = world.policies.sharing
    assert recount(world)[:2] == [1, 1]  # the fives
    assert state.cursor.zero_pages[0] == 300
    hfn = int(state.cursor.zero[0])
    assert (world.frames.hfn[world.pages.frame[:300]] == hfn).all()
    scanned = int(state.cursor.pages_scanned[0])
    sound(world)
    burst(world, at(100.0), np.arange(10), np.full(10, -1))
    due = scan_until(world, at(110.0), due)
    assert state.cursor.zero_pages[0] == 290
    assert state.cursor.pages_scanned[0] - scanned < 13 * 15  # who maps the zero page is passed over
    burst(world, at(110.0), np.arange(10, 300), np.full(290, -1))
    scan_until(world, at(200.0), due)
    assert state.cursor.zero_pages[0] == 0
    sound(world)
    without = machine(contents, *words)
    scan_until(without, at(100.0), 0.0)
    assert recount(without)[0] > 1
    assert without.policies.sharing.cursor.zero_pages[0] == 0
