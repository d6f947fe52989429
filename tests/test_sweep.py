"""The sweep: stitching, sharing, executors, resuming, and what its table says."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memvirt.pipeline.compute import simulate
from memvirt.pipeline.layout import graph, key
from memvirt.pipeline.point import Point
from memvirt.result.table import result_columns
from memvirt.sweep.engine.node import Carried, Failure
from memvirt.sweep.plan.plan import EXPERIMENT_KEYS, NOT_OF_A_POINT
from memvirt.sweep.settings import Settings
from tests.support import BARE, by_hydra, composed_as_is, here, point, sweep
from tests.sweeps import SMALL, engine_rows, planned, points_in, table

GRID = ("mmu=native,nested", "tlb=skylake,zen4", "numa=uma,two_socket", "overcommit.ratio=1,1.6", "reclaim.replacement=lru,fifo")


CHOICES = {
    "machine": ["generic", "zen4", "neoverse_n1"],
    "mmu": ["native", "shadow", "nested"],
    "tlb": ["skylake", "zen4", "icelake"],
    "tlb/replacement": ["lru", "fifo", "random"],
    "numa": ["uma", "two_socket"],
    "reclaim": ["none", "swap"],
    "reclaim/replacement": ["lru", "clock"],
    "cache": ["none", "pte", "full"],
    "guest.page_size": ["4K", "2M"],
    "overcommit.ratio": ["1", "1.5", "null"],
    "workload": ["zipf", "uniform", "sqlite"],
    "vms": ["identical", "four"],
    "clock.ns_per_instruction": ["0.3ns", "1"],
}


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from(list(CHOICES)), st.integers(1, 3), min_size=1, max_size=5))
def test_stitched_is_composed(chosen: dict[str, int]) -> None:
    """Every point of a grid has the config that Hydra would compose for it."""
    axes = {name: CHOICES[name][:count] for name, count in chosen.items()}
    plan = planned(*(f"{name}={','.join(values)}" for name, values in axes.items()))
    for number in range(0, len(plan), max(1, len(plan) // 3)):
        overrides = [f"{name}={values[0]}" for name, values in axes.items() if len(values) == 1]
        for name, value in plan.varied(number).items():
            written = name.replace(".", "/") if name.replace(".", "/") in axes else name
            overrides.append(f"{written}={'null' if value is None else value}")
        config = by_hydra(*overrides)
        assert plan.config(number) == config == composed_as_is(*overrides)
        assert plan.point(number)[0] == Point.build(config)
    options = sum(map(len, axes.values()))
    assert plan.composed <= options * len(axes.get("machine", [0])) + 3 or plan.composed >= len(plan)


def test_options_that_reach_out_are_composed(tmp_path: Path) -> None:
    """An option that changes another group can't be stitched, and isn't."""
    (tmp_path / "conf/cpu").mkdir(parents=True)
    (tmp_path / "conf/cpu/wide.yaml").write_text(
        "# @package _global_\ndefaults:\n  - /cpu/skylake@cpu\n  - _self_\nnuma: {cpus_per_node: 4}\n"
    )
    words = ["--config-dir", "conf", "cpu=skylake,wide", "tlb=skylake,zen4", *SMALL, "executor=serial", "name=wide"]
    sweep(*words, cwd=tmp_path)
    provenance = json.loads((tmp_path / "outputs/wide/provenance.json").read_text())
    rows = pd.read_parquet(tmp_path / "outputs/wide/plan.parquet")
    configs = zip(rows[["cpu", "tlb"]].itertuples(index=False), provenance["configs"], strict=True)
    counts = {tuple(varied): config["numa"]["cpus_per_node"] for varied, config in configs}
    assert counts == {(cpu, tlb): 4 if cpu == "wide" else 8 for cpu in ("skylake", "wide") for tlb in ("skylake", "zen4")}


def test_options_that_interpolate_are_composed(tmp_path: Path) -> None:
    """A value that an option, not the first of its group, takes from another group follows that group's axis."""
    (tmp_path / "conf/clock").mkdir(parents=True)
    text = "ns_per_instruction: 0.2ns\nminor_fault: 500ns\nquantum: ${numa.cpus_per_node}\ndaemon_speedup: 1.0\n"
    (tmp_path / "conf/clock/linked.yaml").write_text(text)
    words = [
        "--config-dir",
        "conf",
        "clock=default,linked,default2",
        "numa.cpus_per_node=2,4",
        *SMALL,
        "executor=serial",
        "name=linked",
    ]
    (tmp_path / "conf/clock/default2.yaml").write_text(text.replace("${numa.cpus_per_node}", "512"))
    sweep(*words, cwd=tmp_path)
    configs = json.loads((tmp_path / "outputs/linked/provenance.json").read_text())["configs"]
    rows = pd.read_parquet(tmp_path / "outputs/linked/plan.parquet")[["clock", "numa.cpus_per_node"]]
    quanta = {tuple(row): config["clock"]["quantum"] for row, config in zip(rows.itertuples(index=False), configs, strict=True)}
    assert [quanta["linked", 2], quanta["linked", 4]] == [2, 4]


def as_in_the_table(point: Point) -> list[dict[str, Any]]:
    """Rows that a point's own simulation gives, as the table has them: null where a counter isn't in use."""
    rows = simulate(point)[0]
    nulls = {column.name: None for column in result_columns()}
    assert rows and all(set(row) <= set(nulls) for row in rows)
    return [{**nulls, **row, "status": "ok", "error": ""} for row in rows]


def test_factored_is_unfactored() -> None:
    """A grid gives, value for value, what its points give when each is run alone; each room ran once for each input."""
    plan = planned(*SMALL, *GRID)
    found, engine = engine_rows(plan)
    assert len(found) == len(plan) == 32
    for number in range(0, len(plan), 3):  # each value of each axis beside each of the others
        point, point_id = plan.point(number)
        assert found[point_id] == as_in_the_table(point)
    tallies = engine.tallies
    assert tallies["workload"].distinct == 2
    # The rows that differ by NUMA share their TLB stages: pressure and no pressure, lru and fifo, two modes, two TLBs, and
    # the baselines of two VMs.
    assert tallies["memory"].distinct == 2 * 2 * (1 + 2) + 2
    assert tallies["tlb"].distinct <= 2 * (2 * (1 + 2) + 2)
    assert tallies["tlb"].asked == 32 * 3
    assert all(tally.computed == tally.distinct for tally in tallies.values())
    assert not any(node.fields for node in engine.nodes.values())
    assert engine.holdings.bytes == 0
    assert engine.holdings.most_bytes > 0


def test_little_memory_and_windows_change_nothing() -> None:
    """With next to no memory in flight, and laid out in pieces, the rows are the same, and so are the distinct stages."""
    plan = planned(*SMALL, *GRID)
    whole, engine = engine_rows(plan)
    assert engine_rows(plan, memory=1)[0] == whole
    carried, known = Carried(), set[str]()
    parts: dict[str, Any] = {}
    distinct = 0
    for begin in range(0, 32, 5):
        found, part = engine_rows(plan, range(begin, min(begin + 5, 32)), carried=carried, known=known)
        parts |= {name: rows for name, rows in found.items() if rows is not None}
        distinct += sum(part.tallies[room].distinct for room in ("workload", "memory", "tlb", "mmu"))
    assert {name: rows for name, rows in whole.items() if name in parts} == parts
    assert distinct == sum(engine.tallies[room].distinct for room in ("workload", "memory", "tlb", "mmu"))


def test_numa_does_not_run_the_tlb_again() -> None:
    """Another NUMA option, the same TLB stages."""
    one = engine_rows(planned(*SMALL, "mmu=nested", "numa=uma"))[1].tallies["tlb"].distinct
    two = engine_rows(planned(*SMALL, "mmu=nested", "numa=uma,two_socket,four_socket"))[1].tallies["tlb"].distinct
    assert one == two


def test_prices_run_nothing_again() -> None:
    """Another CPU's prices, the same simulation."""
    one = engine_rows(planned(*SMALL, "mmu=nested"))[1].tallies
    two = engine_rows(planned(*SMALL, "mmu=nested", "cpu=skylake,zen4"))[1].tallies
    assert [one[room].distinct for room in ("memory", "tlb", "mmu")] == [two[room].distinct for room in ("memory", "tlb", "mmu")]


def test_keys_hold_what_matters_only() -> None:
    """Native ignores the host's page size; without pressure, the way to reclaim doesn't matter."""

    def memory_key(*overrides: str) -> str:
        stage = graph(point(*SMALL, *overrides))[2]
        assert stage.room == "memory"
        return key(stage, [{"trace": "a"}, {"trace": "b"}])

    assert memory_key("mmu=native") == memory_key("mmu=native", "host.page_size=2M", "host.levels=5")
    assert memory_key("mmu=nested") != memory_key("mmu=nested", "host.page_size=2M")
    assert memory_key("mmu=nested") == memory_key("mmu=nested", "reclaim/replacement=clock", "overcommit.ratio=1")
    assert memory_key("mmu=nested", "overcommit.ratio=2") != memory_key(
        "mmu=nested", "overcommit.ratio=2", "reclaim/replacement=clock"
    )


def test_a_failing_point_is_a_row() -> None:
    """The others finish; the reason is told."""
    found, _ = engine_rows(planned(*SMALL, "reclaim=none,swap", "overcommit.ratio=1,1.5"))
    failures = [result for result in found.values() if isinstance(result, Failure)]
    assert len(found) == 4
    assert [failure.status for failure in failures] == ["error"]
    assert "the host is full" in failures[0].error


def test_stop_and_resume(tmp_path: Path) -> None:
    """Ctrl-C in the middle: exit 130, the command that resumes, nothing computed lost, the same table in the end."""
    words = [  # long enough to be stopped in the middle
        *SMALL,
        *BARE,
        "workload.accesses=60000",
        "mmu=native,shadow,nested",
        "tlb=skylake,zen4,zen2",
        "overcommit.ratio=1,1.2,1.4,1.6,1.8,2",
        "executor=serial",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "memvirt.sweep", *words, "name=stopped"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        # a shell's background jobs ignore Ctrl-C, and so would what they start
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    journal = tmp_path / "outputs/stopped/journal.bin"
    while process.poll() is None and not points_in(journal) >= 3:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    kept = points_in(journal)
    assert kept < 54
    assert not (tmp_path / "outputs/stopped/results.parquet").exists()
    line = next(line for line in said.splitlines() if line.startswith("python -m memvirt.sweep"))
    with journal.open("ab") as file:
        file.write(b"MVJ1 cut short, as after a crash")
    done = here("memvirt.sweep", *shlex.split(line)[3:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{kept} of them from an earlier run" in done.stderr
    sweep(*words, "name=whole", cwd=tmp_path)
    pd.testing.assert_frame_equal(table(tmp_path / "outputs/stopped"), table(tmp_path / "outputs/whole"), check_exact=True)


def test_provenance_runs_again(tmp_path: Path) -> None:
    """The command that it names gives the same rows."""
    sweep(*SMALL, "mmu=native,nested", "executor=serial", cwd=tmp_path)
    (folder,) = (path for path in (tmp_path / "outputs").iterdir() if path.name != ".stages")
    first = table(folder)
    said = json.loads((folder / "provenance.json").read_text())
    (folder / "results.parquet").unlink()
    done = here("memvirt.sweep", *shlex.split(said["command"])[3:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    pd.testing.assert_frame_equal(first, table(folder), check_exact=True)
    assert set(pd.read_parquet(folder / "plan.parquet")["point_id"]) == set(first["point_id"])
    assert set(said["axes"]["mmu"]) == {"native", "nested"}
    assert said["config"] == {**composed_as_is(*SMALL, "mmu=native")}


def test_tables(tmp_path: Path) -> None:
    """The contract's columns, the varied keys, an explicit schema, epochs that add up; failed rows counted."""
    from memvirt.counters import names_of
    from memvirt.result.rows import columns

    words = [*SMALL, "reclaim=none,swap", "overcommit.ratio=1,1.5", "executor=serial", "name=t", "epoch.accesses=1000"]
    done = sweep(*words, cwd=tmp_path, pictures=True)
    assert "4 points, 8 rows, 2 failed" in done.stdout.splitlines()[-1]
    frame = table(tmp_path / "outputs/t")
    told = {"reclaim", "overcommit.ratio", "point_id", "replicate", "vm", "status", "error"}
    assert told | set(names_of(columns("results"))) == set(frame.columns)
    assert frame["overcommit.ratio"].dtype == float
    assert frame["walks"].dtype == "float64" or frame["walks"].dtype == "int64"
    bad = frame[frame["status"] == "error"]
    assert len(bad) == 2
    assert bad["error"].str.contains("host is full").all()
    assert bad["walks"].isna().all()
    epochs = pd.read_parquet(tmp_path / "outputs/t/epochs.parquet")
    summed = epochs.groupby(["point_id", "vm"])[["accesses", "walks", "major_faults"]].sum()
    whole = frame[frame["status"] == "ok"].set_index(["point_id", "vm"])[["accesses", "walks", "major_faults"]]
    assert (summed.sort_index() == whole.sort_index()).all().all()
    assert epochs["epoch"].max() == 5
    csv = pd.read_csv(tmp_path / "outputs/t/results.csv")
    assert len(csv) == 8
    assert list(csv.columns) == list(pd.read_parquet(tmp_path / "outputs/t/results.parquet").columns)
    failing = here("memvirt.sweep", *words, *BARE, "fail_on_error=true", cwd=tmp_path)
    assert failing.returncode == 1
    assert (tmp_path / "outputs/t/figures/slowdown.png").stat().st_size > 10_000


def test_two_writers(tmp_path: Path) -> None:
    """One folder, one sweep at a time."""
    from memvirt.errors import MemvirtError
    from memvirt.sweep.store.store import Store

    store = Store(tmp_path / "x", "code")
    with pytest.raises(MemvirtError, match="another sweep"):
        Store(tmp_path / "x", "code")
    store.close()
    Store(tmp_path / "x", "code").close()


def test_nothing_of_a_point_is_lost() -> None:
    """What isn't part of a point says how it is run, or, as a machine and an experiment do, only sets other keys."""
    own = {"hydra", "experiment", "machine", "plan", "study", "replicates"}
    assert set(NOT_OF_A_POINT) == {*Settings.model_fields, *EXPERIMENT_KEYS, *own}
