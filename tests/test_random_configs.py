"""Any command line ends in one of three ways: a table, rows with a reason, or one line and exit 2; never a traceback, never a hang.

The few here run in plain Python, so that no mix of policies is compiled. ``python -m tests.random_configs FIRST LAST`` runs others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.random_configs import GOOD, Runner, run_all

SMALL = ["workload=uniform", "workload.accesses=200", "workload.footprint=64KiB"]

#: What ended in a traceback or never, and how it ends now.
MENDED = {
    "vms.limit=64KiB": "ok",
    "vms.limit=1KiB": "refused vms.limit=1KiB: Input should be greater than or equal to 4096",
    "workload.seed=18446744073709551616": "refused workload.seed=18446744073709551616: Input should be less than",
    "workload.seed=9223372036854775807": "ok",
    "tlb.seed=-1": "refused tlb.seed=-1: ",
    "workload.idle_every=100 workload.idle_time=3600s": "ok",
    "workload.idle_every=100 workload.idle_time=2h": "refused workload.idle_time=2h: ",
    "reclaim=esx reclaim.sampling.samples=1000000": "refused reclaim.sampling.samples=1000000: is a whole number from 1 to 10,000",
    "reclaim=linux workload.idle_every=50 workload.idle_time=100s clock.daemon_speedup=1000000": "refused reclaim.sharing.sleep=20000000.0: makes ",
    "reclaim=esx reclaim/replacement=opt": "refused reclaim.replacement=opt: can't name a page of one VM, as reclaim=esx asks it to",
    "vms.limit=64KiB reclaim/replacement=opt": "refused reclaim.replacement=opt: can't name a page of one VM, as vms.limit or vms.high asks it to",
    "guest.swap=1MiB guest.replacement=opt": "refused guest.replacement=opt: can't name a page of one VM",
    "guest.replacement=lruu": "refused guest.replacement=lruu: there is no such replacement; did you mean lru?",
    "mmu=direct_segment mmu.filter_bits=256.0": "ok",
    "mmu=direct_segment mmu.filter_bits=0": "refused mmu.filter_bits=0: must be a whole number from 1 to",
    "mmu=agile mmu.interval=inf": "refused mmu.interval=inf: is no finite number",
    "workload.write_share=nan": "refused workload.write_share=nan: is no finite number",
    "vms.cache=512T": "row vms.memory=",
    "vms.memory=1025T": "refused vms.memory=1025T: is more than 1024T",
    "workload.footprint=8T": "refused workload.footprint=8796093022208: ",
    "workload.remap_every=1 workload.remap_pages=2000000000": "refused workload.remap_every=1: makes ",
    "workload.warmup=200": "refused workload.warmup=200.0: leaves nothing to count of 200 accesses",
    "clock.minor_fault=1e300s": "refused clock.minor_fault=1e300s: is more than 1000000s",
    "tlb.l1_4k.hit_cycles=2147483648": "refused tlb.l1_4k.hit_cycles=2147483648: ",
    "cpu.memory=1e300": "refused cpu.memory=1e+300: ",
    "cpu.l1d=999999999.0": "refused cpu.l1d=999999999.0: is more than cpu.l2=14",
    "overcommit.ratio=1000000": "row the host is full",
    "reclaim=balloon vms.members=[]": "refused vms.members=[]: ",
}


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """One process for all."""
    made = Runner()
    yield made
    made.close()


@pytest.mark.parametrize("words", MENDED)
def test_mended(words: str, runner: Runner) -> None:
    """Each value that was found to end badly, with its kind."""
    found = runner(0, [*SMALL, *words.split()])
    assert f"{found.how} {found.said}".strip().startswith(MENDED[words]), found


LISTS = {
    "mmu,overcommit.ratio\nnested,\n": "",
    "mmu\n\n": "plan.path=points.csv: holds no points",
    "mmu,overcommit.ratio\n,1.5\n": "mmu=null: there is no such option; choose from",
    "mmu\nnested\nNaN\n": "mmu=NaN: there is no such option",
    "overcommit.ratio\n1.5\nNaN\n": "overcommit.ratio=nan: is no finite number",
    "tlb.replacement\nlru\nlruu\n": "tlb.replacement=lruu: there is no such option; did you mean lru?",
    "workload.accesses\n200\ninf\n": "workload.accesses=inf: is no finite number",
    ",mmu\n1,nested\n": "Unnamed: 0: is no key",
    "output\nhere\n": "output: is no key of a point",
    "executor.workers\n1\n": "executor.workers: is no key of a point",
}


@pytest.mark.parametrize("text", LISTS)
def test_cells_of_a_list(text: str, runner: Runner, tmp_path: Path) -> None:
    """An empty cell is null; one that isn't a value of its column is named."""
    path = tmp_path / "points.csv"
    path.write_text(text)
    found = runner(0, [*SMALL, "plan=list", f"plan.path={path}", "dry_run=true"], whole=True)
    if LISTS[text]:
        assert found.how == "refused", found
        assert found.said.replace(str(path), "points.csv").startswith(f"memvirt.sweep: {LISTS[text]}")
    else:
        assert found.how == "ok", found


def ends_well(seeds: range) -> None:
    """Judge command lines, and see that they were not all of one kind."""
    count: Counter[str] = Counter()
    bad = []
    for verdict in run_all(seeds):
        count[verdict.how] += 1
        if verdict.how not in GOOD:
            bad.append(verdict)
    assert not bad, "\n".join(f"{each.seed} {each.how}: {' '.join(each.words)}\n{each.said[-800:]}" for each in bad)
    assert count["ok"] > len(seeds) // 5
    assert count["refused"] > len(seeds) // 20


def test_random_configs() -> None:
    """A few."""
    ends_well(range(16))


@pytest.mark.slow
def test_many_random_configs() -> None:
    """Of all groups and keys."""
    ends_well(range(1000, 3000))
