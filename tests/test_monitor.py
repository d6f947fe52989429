"""Monitoring, by counters made by hand: pressure, rates, thrashing, what warned; bursty servers; the scenarios."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from memvirt.counters import names_of, own
from memvirt.result import monitor
from memvirt.sweep.plan.groups import find_groups
from memvirt.workload.synthetic import bursty
from tests.support import here, point, rows, sweep


def counters(epochs: int, **columns: list[int]) -> monitor.Counts:
    """Counters of one VM, zero but for those that are given."""
    return {name: np.array([columns.get(name, [0] * epochs)]) for name in names_of(own("memory"))}


def test_pressure_and_rates() -> None:
    """Shares and rates are of the time that the VM didn't sleep; where it slept all along there is none."""
    seen = monitor.rates(
        counters(
            3, elapsed_ns=[1_000_000, 2_000_000, 0], stall_ns=[250_000, 2_000_000, 0], idle_ns=[0, 10**9, 10**9],
            instructions=[1000, 0, 0], major_faults=[3, 0, 0], guest_major_faults=[2, 1, 0], swap_in_pages=[3, 0, 0],
            guest_swap_in_pages=[0, 4, 0], swap_out_pages=[0, 6, 0], refaults=[1, 0, 0], awake_ns=[400, 0, 0],
            stall_some_ns=[200, 0, 0], stall_full_ns=[100, 0, 0],
        )
    )  # fmt: skip
    nan = np.nan
    for name, wanted in {
        "pressure": [0.25, 1.0, nan],
        "progress": [1e6, 0.0, nan],
        "major_fault_rate": [5.0, 0.5, nan],
        "swap_in_rate": [3.0, 2.0, nan],
        "swap_out_rate": [0.0, 3.0, nan],
        "refault_rate": [1.0, 0.0, nan],
        "activation_rate": [0.0, 0.0, nan],
        "pressure_some": [0.5, nan, nan],
        "pressure_full": [0.25, nan, nan],
    }.items():
        np.testing.assert_allclose(seen[name][0], wanted, err_msg=name)


def test_running_averages_are_the_kernels() -> None:
    """Of a pressure that stays: 1 - exp(-n / span), and then down by exp(-1 / span) an epoch; a VM that sleeps has no pressure."""
    pressure = np.array([[1.0] * 10 + [np.nan] * 10])
    average = monitor.running(pressure, 5)[0]
    np.testing.assert_allclose(average[:10], 1 - np.exp(-np.arange(1, 11) / 5))
    np.testing.assert_allclose(average[10:], average[9] * np.exp(-np.arange(1, 11) / 5))


def test_what_warned() -> None:
    """Stalled from epoch 5: pressure is beyond a tenth from 3, free memory low from 1, refaults after the fact; balloons never."""
    values = counters(
        7, elapsed_ns=[1000] * 7, stall_ns=[0, 0, 50, 101, 500, 501, 900], resident_pages=[100, 100, 100, 150, 150, 150, 150],
        active_pages=[100, 90, 100, 151, 100, 100, 100], host_pages=[1000] * 7, host_free_pages=[100, 59, 100, 50, 0, 0, 0],
        refaults=[0, 0, 0, 0, 0, 0, 7],
    )  # fmt: skip
    lived = np.ones((1, 7), bool)
    seen = monitor.watch(values)
    assert seen["stalled"].tolist() == [[0, 0, 0, 0, 0, 1, 1]]  # more than half: 0.5 itself isn't
    found = monitor.warned({**values, **seen}, lived)
    assert found["stalled_epochs"].tolist() == [2]
    assert found["first_stalled_epoch"] == [5]
    alarms = {name: found[f"alarm_{name}"][0] for name in monitor.SIGNALS}
    wanted = {
        "pressure": 3,
        "pressure_avg": 4,
        "major_faults": None,
        "swap_in": None,
        "swap_out": None,
        "refaults": 6,
        "activations": None,
    }
    wanted |= {"balloon": None, "compression": None, "active": 3, "active_estimate": None, "host_free": 1, "memory_state": None}
    assert alarms == wanted
    assert found["warned_pressure"] == [2]
    assert found["warned_host_free"] == [4]
    assert found["warned_refaults"] == [None]
    assert found["warned_balloon"] == [None]
    lived[0, 3:] = False  # what was not lived through doesn't count
    assert monitor.warned({**values, **seen}, lived)["first_stalled_epoch"] == [None]
    assert monitor.warned({**values, **seen}, lived)["warned_host_free"] == [None]


def test_columns_are_what_is_promised() -> None:
    """Every column of the tables, and no other."""
    values = counters(2, elapsed_ns=[10, 10], resident_pages=[1, 1])
    told = {table: names_of(each for each in monitor.COLUMNS if table in each.tables) for table in ("results", "epochs")}
    assert set(monitor.watch(values)) == set(told["epochs"])
    seen = {**values, **monitor.watch(values)}
    assert [*monitor.rates(values), *monitor.warned(seen, np.ones((1, 2), bool))] == list(told["results"])
    assert {signal.column for signal in monitor.SIGNALS.values()} <= set(seen)


def test_bursty() -> None:
    """Off-peak a share of the footprint, at a peak all of it; the hottest pages stay the hottest; peaks come again."""
    run = bursty.make(1000, 3, off_peak=0.2, peak_at=20_000, peak_every=40_000, peak_accesses=20_000, alpha=0.0, write_share=0.5)
    stretches = [set(run(at, at + 20_000)[0].tolist()) for at in range(0, 100_000, 20_000)]
    assert [len(pages) for pages in stretches] == [200, 1000, 200, 1000, 200]
    assert stretches[0] == stretches[2] == stretches[4]
    ends = bursty.make(1000, 3, off_peak=0.2, peak_at=0, peak_every=0, peak_accesses=100, alpha=0.0, write_share=0.5)
    assert max(set(ends(100, 5000)[0].tolist()).symmetric_difference(stretches[0]), default=None) is None
    skewed = bursty.make(1000, 3, off_peak=0.2, peak_at=0, peak_every=0, peak_accesses=0, alpha=1.0, write_share=0.0)
    page, line = skewed(0, 100_000)
    counts = np.bincount(page, minlength=1000)
    hottest = np.argsort(counts)[::-1]
    harmonic = (1 / np.arange(1, 1001)).sum()
    assert abs(counts[hottest[0]] - 1e5 / harmonic) < 5 * np.sqrt(1e5 / harmonic)
    assert set(hottest[:50].tolist()) <= stretches[0]
    assert not (line & 0x80).any()


@pytest.mark.parametrize("name", ["web_and_batch", "desktops", "database_and_idle", "batch_night"])
def test_scenarios(name: str) -> None:
    """Each has VMs that differ, that fit into their memory, and tells what it is and where it is from."""
    made = point(f"vms={name}")
    members = [made.member(vm) for vm in range(made.count)]
    assert made.count == len(members) > 3
    for member in members:
        assert member.vms.memory is not None
        assert member.workload.footprint + member.vms.cache <= member.vms.memory
    assert len({repr(member) for member in members}) > 1
    text = (Path(monitor.__file__).parents[1] / f"conf/vms/{name}.yaml").read_text()
    assert "Scale" in text
    assert "OSDI'02" in text or "CACM 1968" in text
    assert name in find_groups([])["vms"]


def test_the_classic_keeps_its_ratios() -> None:
    """8 GB of which 2 off-peak, beside three jobs of 4 GB; all burst, one after the other."""
    members = [point("vms=web_and_batch").member(vm) for vm in range(4)]
    web, *jobs = members
    assert web.vms.memory == 2 * jobs[0].vms.memory  # type: ignore[operator]
    assert web.workload.options["off_peak"] * web.workload.footprint == web.vms.memory / 4  # type: ignore[operator]
    begins = [member.workload.options["peak_at"] for member in members]
    assert begins == sorted(begins)
    assert all(member.workload.accesses > begins[-1] for member in members)  # type: ignore[operator]


SMALL = (
    "mmu=native", "executor=serial", "epoch.accesses=2000", "clock.ns_per_instruction=10ns", "workload=bursty", "workload.footprint=1MiB",
    "workload.accesses=20000", "workload.peak_at=10000", "workload.instructions_per_access=255", "vms.count=2", "overcommit.ratio=1.5",
)  # fmt: skip


def test_tables_and_pictures(tmp_path: Path) -> None:
    """A burst beyond what the host has: no pressure before it, stalls after; epochs and results agree; the picture is drawn."""
    sweep(*SMALL, "name=m", "reclaim=swap,none", cwd=tmp_path)
    folder = tmp_path / "outputs/m"
    results, epochs = pd.read_parquet(folder / "results.parquet"), pd.read_parquet(folder / "epochs.parquet")
    assert (results.loc[results["reclaim"] == "none", "status"] == "error").all()
    for vm, mine in epochs.groupby("vm"):
        row = results[(results["vm"] == vm) & (results["reclaim"] == "swap")].iloc[0]
        assert mine["thrash"].sum() == row["thrash_epochs"]
        assert mine["stalled"].sum() == row["stalled_epochs"]
        assert mine["pressure"].iloc[:5].max() == 0
        np.testing.assert_allclose(mine["stall_ns"].sum() / mine["elapsed_ns"].sum(), row["pressure"])
        if row["stalled_epochs"]:
            assert mine.loc[mine["stalled"] > 0, "epoch"].min() == row["first_stalled_epoch"] >= 5
            assert row["warned_host_free"] == row["first_stalled_epoch"] - row["alarm_host_free"]
        assert (mine["host_pages"] == 2 * 256 * 10 // 15).all()
    assert results["stalled_epochs"].max() > 0
    done = here("memvirt.figures", "outputs/m", "--monitor", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (folder / "figures/monitor-reclaim=swap.png").stat().st_size > 20_000
    assert "waits longest" not in done.stdout  # there is one point alone that has epochs
    for words, why in (
        (["outputs/m/results.csv", "--monitor"], "needs a sweep's folder"),
        (["outputs/m", "--x", "vm"], "--y is needed"),
    ):
        bad = here("memvirt.figures", *words, cwd=tmp_path)
        assert bad.returncode == 2
        assert why in bad.stderr


def test_cached_kernels_have_no_holes() -> None:
    """Kernels that call each other in a circle leave a symbol that only the process that compiled them can resolve: the next would crash."""
    from memvirt.jit import kernel_folder

    rows("workload=uniform", "workload.accesses=100", "workload.footprint=1MiB", "reclaim=balloon", "overcommit.ratio=1.1")
    cached = list(kernel_folder().glob("memvirt.memory.*.nbc"))
    assert cached
    for path in cached:
        assert b".numba.unresolved$" not in path.read_bytes(), path.name
