"""Every experiment at small size, and the command that holds it against what was published."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path

import pandas as pd
import pytest

from memvirt.experiments import HERE, Claim, claims, counted, families, names
from memvirt.experiments.pending import pending, shown
from memvirt.reproduce.verdict import NEWS, code_of, keep, kept, table, verdict, write_report
from tests.support import BARE, command, here

#: What makes each small; the numbers are other ones then, but everything runs.
SMALL = {
    "before_the_cliff": [
        "workload=working_sets",
        "workload.path=null",
        "vms.members=[{workload:{footprint:4MiB}},{cache:1MiB,memory:3MiB,workload:{footprint:2MiB,loop:closed}}]",
        "vms.scale=1",
        "workload.seconds=60",
        "workload.warmup=20",
        "workload.fill=10",
        "workload.burst_every=10",
        "workload.burst=60",
        "reclaim=swap",
    ],
    "agile_paging": ["workload=gups,sqlite", "workload.accesses=20000", "workload.footprint=8MiB"],
    "balloon_overhead": ["workload.accesses=20000", "overcommit.host_memory=48MiB,64MiB", "vms.memory=48MiB,64MiB"],
    "early_warnings": [  # a thousandth of the memory, whole
        "workload.unit=KiB",
        "vms.memory=4MiB",
        "vms.scale=1",
        "overcommit.host_memory=11MiB,14.75MiB",
        "workload.path=experiments/early_warnings/at_once.csv,experiments/early_warnings/2_minutes.csv",
        "workload.seed=1",
    ],
    "btree": ["workload.accesses=20000", "workload.footprint=1GiB"],
    "fragmented": ["workload.accesses=20000", "workload.footprint=6GiB"],
    "idle_memory_tax": [
        "vms.members=[{workload:{footprint:1MiB,touched:0.1,working_set:0.02,peak:0.02,busy:0.01},cache:1MiB},{}]",
        "vms.memory=2MiB",
        "vms.scale=1",
        "overcommit.host_memory=2MiB",
        "workload.footprint=2MiB",
        "workload.seconds=400",
        "workload.fill=100",
        "reclaim.tax_from=200s",
        "reclaim.tick=10ms",
    ],
    "latency_table": ["machine=haswell,zen3", "workload.accesses=3000", "workload.footprint=256KiB,4MiB,6MiB"],
    "linux_swap": [f"plan.path={Path(__file__).parent / 'data/linux_swap_points.csv'}"],
    "linux_ksm": ["reclaim/replacement=lru"],  # replaces nothing
    "lowered_memory": [
        "vms.memory=16MiB",
        "vms.cache=10MiB",
        "vms.scale=1",
        "workload.footprint=6MiB",
        "workload.seconds=180",
        "reclaim=swap",
        "reclaim/replacement=lru",
        "overcommit.host_memory=16MiB,12MiB",
    ],
    "mitosis": ["workload.accesses=20000", "workload.footprint=6GiB"],
    "mode_ratios": ["workload.accesses=20000", "workload.footprint=16MiB", "mmu=nested,flattened,dmt"],
    "page_lives": ["workload.footprint=32MiB", "vms.scale=1"],
    "proactive_reclaim": [  # another policy, so that no mix is compiled for it alone
        "vms.members=[{workload:{footprint:1MiB}},{}]",
        "vms.memory=2MiB",
        "vms.count=2",
        "vms.scale=1",
        "workload.footprint=2MiB",
        "workload.seconds=400",
        "workload.warmup=120",
        "reclaim=swap,sharing",
        "reclaim/replacement=lru",
    ],
    "references_per_walk": ["workload=gups", "workload.accesses=5000", "workload.footprint=16MiB"],
    "sage": ["workload.accesses=20000", "workload.footprint=16MiB"],
    "shadow_or_nested": ["workload=zipf", "workload.accesses=60000", "workload.footprint=8MiB", "workload.remap_every=1000,10000"],
    "sharing_pays": [
        "vms.count=2",
        "vms.scale=1",
        "workload.footprint=2MiB",
        "workload.seconds=400",
        "workload.fill=100",
        "workload.warmup=200",
        "contents.common=0,0.67",
    ],
    "schedulers": ["workload=gups", "workload.accesses=20000", "workload.footprint=8MiB", "numa.scheduler.period=2us"],
    "thin_vm": [
        "workload=working_sets",
        "workload.path=null",
        "workload.footprint=4MiB",
        "workload.seconds=600",
        "workload.step=20",
        "workload.fill=20",
        "workload.warmup=20",
        "workload.busy=1.0",
        "workload.burst_every=0",
        "workload.detail.footprint=16MiB",
        "workload.detail.accesses=20000",
        "vms.scale=1",
    ],
    "translation_cost": [
        "workload=uniform,sqlite",
        "workload.accesses=5000",
        "workload.footprint=4MiB,64MiB",
        "mmu=native,nested,nested2,flattened,dmt",
    ],
    "vmitosis": ["workload.accesses=20000", "workload.footprint=6GiB"],
    "walk_cache_law": ["workload.accesses=20000", "workload.footprint=16MiB,1GiB"],
    "walk_caches": ["workload=gups,sqlite", "workload.accesses=20000", "workload.footprint=16MiB"],
    "walk_references": ["workload.accesses=500", "mmu=native,nested,dmt", "guest.levels=4", "host.levels=4,5"],
}


def test_each_has_its_files() -> None:
    """Question, measure, figure, sources; a claim of each row of PUBLISHED's table of translation; bounds that hold what was published."""
    assert names() == sorted(SMALL)
    for name in names():
        assert {"README.md", "measure.py", "figure.py", "reference.csv"} <= {path.name for path in (HERE / name).iterdir()}
        for claim in claims(name):
            assert claim.low <= claim.high
            assert claim.source
            try:
                assert claim.holds(float(claim.published)), claim
            except ValueError:
                assert "order" in claim.tolerance or claim.tolerance == "inside the axis", claim
    rows = {claim.name.split()[0] for name in names() for claim in claims(name)}
    assert {f"T{number}" for number in range(1, 12)} <= rows


@pytest.mark.parametrize("name", sorted(SMALL))
def test_small(name: str, tmp_path: Path) -> None:
    """Sweep, report and figure; exit 1 says that small numbers miss, 2 would be an error."""
    place = "elsewhere" if name == "mode_ratios" else "outputs"
    words = [name, *SMALL[name], "executor=serial", *([f"output={place}"] if place != "outputs" else [])]
    if name == "walk_references":  # one as a user runs it
        done = command("memvirt.reproduce", *words, cwd=tmp_path)
    else:
        done = here("memvirt.reproduce", *words, *BARE, cwd=tmp_path)
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    assert f"{name}: published beside simulated" in done.stdout
    assert (tmp_path / f"{place}/reproduce-{name}/figures/{name}.png").stat().st_size > 5000
    if name == "walk_references":
        assert done.returncode == 0
        assert "not in this run" in done.stdout
    assert ("MISSED" in done.stdout) == (done.returncode == 1)


def test_names(tmp_path: Path) -> None:
    """Rows of the table mean their experiment; others are told."""
    listed = here("memvirt.reproduce", "T3", "--list", cwd=tmp_path)
    assert listed.stdout.startswith("vmitosis  (numa, about ")
    wrong = here("memvirt.reproduce", "T33", cwd=tmp_path)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("memvirt.reproduce: NAME=T33: is neither an experiment nor a claim")
    assert "Traceback" not in wrong.stderr


def test_references_are_tables() -> None:
    """Each reference.csv has the same columns."""
    for name in names():
        with (HERE / name / "reference.csv").open(newline="") as file:
            header = next(csv.reader(file))
        assert header == ["claim", "what", "published", "low", "high", "tolerance", "source", "note"]


def test_walk_cycles_as_counted() -> None:
    """The look-up before a walk is the guest's dimension's, once a walk; a walk cache's look-up is that of its own dimension."""
    row: dict[str, float] = {"accesses": 1000, "l1_tlb_misses": 900, "walks": 800, "tlb_cycles": 900 * 9}
    row |= {"pwc_lookups_guest": 800, "pwc_lookups_host": 1600}
    row |= {f"walk_cycles_{each}_l{level}": 0 for each in ("guest", "host", "data") for level in range(1, 6)}
    row |= {"walk_cycles_guest_l1": 80_000, "walk_cycles_host_l2": 14_000, "walk_cycles_data_l1": 40_000}
    row["walk_pending_cycles"] = 80_000 + 54_000 + 2 * 2400  # two cycles a look-up
    row["walk_cycles"] = row["walk_pending_cycles"] / 2
    assert pending(pd.Series(row)) == pytest.approx((80 + 0.8 * 9 + 1.6, 54 + 3.2))
    assert shown(pd.Series(row)) == pytest.approx(0.5)


def test_verdicts() -> None:
    """A known miss is no news; a number that misses without a cause is, and so is one that holds though it is listed as missed."""
    claim = Claim("T0", "what", "2", 1.0, 3.0, "50 %", "somebody", "")
    listed = claim._replace(note="because")
    said = [verdict(each, value) for each in (claim, listed) for value in (2.0, 4.0, None)]
    assert said == ["holds", "MISSED", "not in this run", "holds, listed as missed", "known miss", "not in this run"]
    assert [each in NEWS for each in said] == [False, True, False, True, False, False]


def test_families_and_sources() -> None:
    """Each experiment has a family and a time; at least 40 numbers of 15 papers, manuals and tools."""
    assert set(families()) == set(names())
    assert {about.family for about in families().values()} == {"translation", "overcommit", "numa", "peers"}
    assert sum(about.seconds for about in families().values()) < 3600
    numbers = [claim for name in names() for claim in claims(name) if claim.published.replace(".", "", 1).isdigit()]
    sources = {claim.publication for claim in numbers} - {None}
    assert len(numbers) >= 40
    assert len(sources) >= 15, sources
    every = {claim.publication for name in names() for claim in claims(name)} - {None}
    named = {each for each in every if re.search(r"'\d\d|vol\. \d|vSphere", str(each))}
    assert every - named == {"Denning et al., Acta Informatica 7", "InstLatX64", "Linux", "Mitosis", "SagePTE", "vMitosis"}
    assert all(math.isfinite(claim.low) or math.isfinite(claim.high) for name in names() for claim in claims(name))
    assert counted(names()).startswith(f"{len(names())} experiments, ")


def test_sources() -> None:
    """The place in a publication makes no other one of it; a law that is derived here has none."""
    claim = Claim("T0", "what", "2", 1.0, 3.0, "50 %", "", "")
    same = ("Waldspurger, OSDI'02", "Waldspurger, OSDI'02, figure 2 (recalled)", "Waldspurger, OSDI'02, section 5.2")
    assert {claim._replace(source=each).publication for each in same} == {"Waldspurger, OSDI'02"}
    assert claim._replace(source="Linux, mm/workingset.c").publication == "Linux"
    assert claim._replace(source="1 + m2 + m2 m3").publication is None


def test_plan_only(tmp_path: Path) -> None:
    """`dry_run=true` plans an experiment's sweep, and measures nothing."""
    done = here("memvirt.reproduce", "walk_references", "dry_run=true", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "nothing was run" in done.stdout
    assert "published beside simulated" not in done.stdout


def test_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured is kept with the code and the settings that it hangs on; another code, or none, is to be run again."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs/reproduce-sage"
    folder.mkdir(parents=True)
    assert kept("sage") == ({}, False)
    (folder / "results.parquet").touch()
    told = {"config": {"mmu": {"name": "nested"}, "tlb": {"replacement": {"name": "lru"}}}}
    (folder / "provenance.json").write_text(json.dumps(told))
    keep("sage", {"T1 level 1": 35.7})
    assert kept("sage") == ({"T1 level 1": 35.7}, True)
    before = code_of("sage", told)
    assert code_of("sage", {"config": {"mmu": {"name": "shadow"}}}) != before
    frame = table()
    row = frame[frame["claim"] == "T1 level 1"].iloc[0]
    assert (row["verdict"], row["family"]) == ("known miss", "translation")
    assert row["cause"]
    assert (frame["verdict"] == "not run yet").sum() == len(frame) - 1
    text = write_report()[0].read_text()
    assert text.index("Missed, and why") < text.index("T1 level 1") < text.index("## translation")
    with monkeypatch.context() as patched:
        patched.setattr("memvirt.reproduce.verdict.code_digest", lambda *modules, with_policies: "another")
        assert kept("sage") == ({"T1 level 1": 35.7}, False)
