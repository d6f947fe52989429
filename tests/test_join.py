"""A page life and its detail as one: the arithmetic, against numbers worked out by hand; and what it shares of stages."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from memvirt.errors import ConfigError
from memvirt.pipeline.compute import simulate
from memvirt.pipeline.layout import Layout, graph
from memvirt.pipeline.rooms.memory import check
from memvirt.result.join import SEEN, Detail, join
from memvirt.result.rows import slowdowns
from tests.support import point

GHZ = 2.0


def detail(**more: Any) -> Detail:
    """One that takes 400 cycles alone, 1,000 instructions and 300 accesses."""
    counts = {
        "accesses": 300, "instructions": 1000, "minor_faults": 7, "remote_accesses": 0, "l2_tlb_misses": 60, "walks": 60,
        "walk_refs_in_memory": 20, "walk_refs_in_memory_remote": 0, "walk_refs_overlapped_in_memory": 0,
        "walk_refs_overlapped_in_memory_remote": 0, "data_refs_in_memory": 40, "data_refs_in_memory_remote": 0, "vm_exits": 3,
        "vm_exits_ept_violation": 1, "vm_exits_cr3_write": 2,
    }  # fmt: skip
    levels = np.zeros((2, 5, 5), np.int64)
    levels[0, 0, 3] = 20
    histogram = np.array([0, 0, 20, 40])
    return Detail({**counts, **more}, 400.0, histogram, levels, np.array([[3, 60]]))


def life(**more: Any) -> dict[str, np.ndarray]:
    """Two VMs, the warm-up and two epochs: busy for 5,000 and 10,000 ns, or idle and 2,000."""
    counts = {
        "accesses": [[4, 10, 20], [4, 0, 5]], "instructions": [[4, 10, 20], [4, 0, 5]], "busy_ns": [[900, 5000, 10_000], [900, 0, 2000]],
        "remote_accesses": [[0, 5, 5], [0, 0, 5]], "minor_faults": [[9, 1, 0], [9, 0, 0]], "guest_major_faults": [[0, 0, 0], [0, 0, 0]],
        "host_minor_faults": [[9, 2, 0], [9, 0, 0]], "major_faults": [[0, 0, 3], [0, 0, 0]], "stall_ns": [[0, 0, 700], [0, 0, 0]],
        "resident_pages": [[5, 6, 7], [5, 6, 7]],
    }  # fmt: skip
    return {name: np.array(values) for name, values in (counts | more).items()}


def test_join_by_hand() -> None:
    """Busy time says how often the detail went by; what happens to pages counts as often as a page stands for others; time once."""
    found = join(life(), [detail(), detail()], GHZ, 8, {"ept_violation": (0, 1)})
    counts = {name: values.tolist() for name, values in found.counts.items()}
    assert found.baseline_cycles.tolist() == [
        [1800, 10_000, 20_000],
        [1800, 0, 4000],
    ]  # busy time, so the detail 25, 50 and 10 times
    assert [row[1:] for row in counts["instructions"]] == [[25_000, 50_000], [0, 10_000]]
    assert [row[1:] for row in counts["accesses"]] == [[7500, 15_000], [0, 3000]]
    assert [row[1:] for row in counts["walks"]] == [[1500, 3000], [0, 600]]
    assert counts["visits"] == life()["accesses"].tolist()
    assert counts["minor_faults"] == [[72, 8, 0], [72, 0, 0]]  # not the detail's
    assert [row[1:] for row in counts["resident_pages"]] == [[48, 56], [48, 56]]
    assert counts["stall_ns"] == life()["stall_ns"].tolist()
    assert [row[1:] for row in counts["vm_exits_ept_violation"]] == [[25 + 16, 50 + 24], [0, 10]]
    assert [row[1:] for row in counts["vm_exits_cr3_write"]] == [[50, 100], [0, 20]]
    assert [row[1:] for row in counts["vm_exits"]] == [[75 + 16, 150 + 24], [0, 30]]
    assert [row[1:] for row in counts["remote_accesses"]] == [[3750, 3750], [0, 3000]]  # half, a quarter, all
    assert [row[1:] for row in counts["walk_refs_in_memory_remote"]] == [[250, 250], [0, 200]]
    assert [row[1:] for row in counts["data_refs_in_memory_remote"]] == [[500, 500], [0, 400]]
    assert found.histogram.tolist() == [[0, 0, 1500, 3000], [0, 0, 200, 400]]
    assert found.levels[:, 0, 0, 3].tolist() == [1500, 200]
    assert found.levels[:, 0, 0, 4].tolist() == [500, 200]


def test_tables_that_are_not_as_data_are_local() -> None:
    found = join(life(), [detail(), detail()], GHZ, 1, {}, tables_remote=False)
    assert not found.counts["walk_refs_in_memory_remote"].any()
    assert found.counts["data_refs_in_memory_remote"].any()
    assert not found.levels[..., 4].any()


def test_tables_have_shares_of_their_own_where_they_move() -> None:
    """Three quarters of what is read from memory is the guest's; its tables are remote for half of the visits, the host's for a tenth."""
    levels = np.zeros((2, 5, 5), np.int64)
    levels[0, 0, 3], levels[1, 0, 3] = 15, 5
    more = {"guest_tables_remote": [[0, 5, 10], [0, 0, 5]], "host_tables_remote": [[0, 1, 2], [0, 0, 0]]}
    both = [detail()._replace(levels=levels)] * 2
    found = join(life(**more), both, GHZ, 8, {}, tables=("guest_tables_remote", "host_tables_remote"))
    counts = {name: values[:, 1:].tolist() for name, values in found.counts.items()}
    assert counts["walk_refs_in_memory"] == [[500, 1000], [0, 200]]
    assert counts["walk_refs_in_memory_remote"] == [[200, 400], [0, 150]]  # 0.75 of a half, and 0.25 of a tenth
    assert counts["guest_tables_remote"] == [[3750, 7500], [0, 3000]]
    assert counts["host_tables_remote"] == [[750, 1500], [0, 0]]
    assert found.levels[0, :, 0, 4].tolist() == [round(0.5 * 1125), round(0.1 * 375)]
    alike = {name: life()["remote_accesses"] for name in more}
    as_data = join(life(), both, GHZ, 8, {})
    same = join(life(**alike), both, GHZ, 8, {}, tables=("guest_tables_remote", "host_tables_remote"))
    assert (same.counts["walk_refs_in_memory_remote"] == as_data.counts["walk_refs_in_memory_remote"]).all()


def test_each_vm_has_its_own_detail() -> None:
    other = detail(walks=600)._replace(baseline_cycles=800.0, histogram=np.array([0, 600]))
    found = join(life(), [detail(), other], GHZ, 1, {})
    assert found.counts["walks"][:, 2].tolist() == [3000, 3000]  # the second goes by half as often, and walks ten times as much
    assert found.histogram.tolist() == [[0, 0, 1500, 3000], [0, 3000, 0, 0]]


def test_slowdowns() -> None:
    """Of each epoch; quantiles are those of values that there are; ten epochs in a row count together."""
    baseline = np.full((2, 100), 10.0)
    cycles = baseline.copy()
    cycles[0, 50] = 110.0
    cycles[0, 70:72] = 30.0
    baseline[1, :50], cycles[1, :50] = 0.0, 0.0
    cycles[1, 10] = 5.0
    by_epoch, known = slowdowns(cycles, baseline)
    assert by_epoch[0, 50] == 11
    assert np.isnan(by_epoch[1, 0])
    assert by_epoch[1, 10] == np.inf
    assert known["slowdown_p50"].tolist() == [1, 1]
    assert known["slowdown_p99"].tolist() == [3, np.inf]
    assert known["slowdown_peak"][0] == pytest.approx(2.0)  # 110 and nine times 10, by 100
    assert known["slowdown_peak"][1] == np.inf
    assert slowdowns(np.zeros((1, 0)), np.zeros((1, 0)))[1]["slowdown_p99"].tolist() != [0]


LIFE = (
    "workload=working_sets", "workload.footprint=128MiB", "workload.seconds=20", "workload.step=5", "vms.count=2", "vms.scale=2",
    "epoch.accesses=null", "epoch.time=5s", "workload.detail={name:zipf,footprint:1MiB,accesses:2000}",
)  # fmt: skip


def test_a_detail_is_one_stage_for_all_ratios_and_policies() -> None:
    """What a point adds for another ratio, policy or topology are the life's memory and the join; of VMs alike there is one detail."""
    layout = Layout()
    for more in (
        ["reclaim=none"],
        ["overcommit.ratio=1.5"],
        ["overcommit.ratio=2"],
        ["reclaim=balloon", "overcommit.ratio=2"],
        ["numa=two_socket"],
    ):
        layout.add(point(*LIFE, "mmu=nested", *more))
    rooms = Counter(stage.room for stage in layout.stages)
    assert rooms == {"workload": 3, "memory": 4 + 1 + 2, "tlb": 2, "mmu": 2, "cost": 1, "join": 5, "result": 5}
    joined = next(stage for stage in layout.stages if stage.room == "join")
    assert [each.room for each in joined.inputs] == ["memory", "memory", "tlb", "mmu", "cost"]


def test_lives_without_detail_plan_no_walks() -> None:
    stages = graph(point(*LIFE, "workload.detail=none"))
    assert [stage.room for stage in stages] == ["workload", "workload", "memory", "join", "result"]


def test_native_in_steady_state_is_the_baseline() -> None:
    """Counts of a life with memory enough, end to end: a detail on native takes its baseline's cycles, so what is left are faults."""
    results, epochs = simulate(point(*LIFE, "mmu=native"))
    for row in results:
        faults = sum(row[f"{part}_cycles"] for part in ("fault", "clearing", "exit", "shootdown", "syscall", "stall"))
        assert row["slowdown"] == pytest.approx(1 + faults / row["baseline_cycles"], rel=1e-6)
        assert row["baseline_cycles"] == pytest.approx(row["busy_ns"] * 2.5)
        assert row["resident_pages"] <= 128 << 8
        assert row["walks"] > 0
    assert all(np.isfinite(row["slowdown"]) for row in epochs)
    for row in simulate(point(*LIFE, "mmu=nested", "workload.detail=none"))[0]:
        assert "walks" not in row
        assert 1 <= row["slowdown"] < 1.1


def test_accesses_whose_walks_nobody_asked_for() -> None:
    """What happens to memory is counted as it is, and instructions are the work; stages end at the memory room."""
    alone = Detail({"accesses": 0, "instructions": 1000, **dict.fromkeys(SEEN, 0)}, 400.0, np.zeros(1), np.zeros((2, 5, 5)), np.zeros((0, 2)))  # fmt: skip
    found = join(life(), [alone, alone], GHZ, None, {})
    assert found.baseline_cycles.tolist() == [[1.6, 4, 8], [1.6, 0, 2]]
    for name in ("accesses", "instructions", "minor_faults", "remote_accesses", "stall_ns"):
        assert found.counts[name].tolist() == life()[name].tolist(), name
    assert not found.counts["visits"].any()
    whole, memory_alone = (graph(point("workload=zipf", "vms.count=2", *more)) for more in ((), ("workload.detail=none",)))
    assert [stage.room for stage in memory_alone] == ["workload", "workload", "memory", "join", "result"]
    of_memory = [next(stage.config.digest for stage in stages if stage.room == "memory") for stages in (whole, memory_alone)]
    assert of_memory[0] == of_memory[1]  # asked for once
    members = "vms.members=[{workload:zipf},{workload:{name:zipf,detail:none}}]"
    with pytest.raises(ConfigError, match=r"workload.detail=none: of others than VM 0"):
        graph(point("vms=identical", members))


def test_latencies_of_memory() -> None:
    """`numa.latencies` are the CPU's two for lives, as far as they are two; others are refused and not forgotten."""
    words = (*LIFE, "mmu=native", "numa=two_socket", "numa/placement=interleave")
    told, said, usual = (
        simulate(point(*words, *more))[0][0]["slowdown"]
        for more in (["numa.latencies=[[100ns,250ns],[250ns,100ns]]"], ["cpu.memory=250", "cpu.memory_remote=625"], [])
    )
    assert told == said != usual
    with pytest.raises(ConfigError, match=r"numa\.latencies=.*aren't told apart"):
        check(point(*words, "numa.latencies=[[100ns,250ns],[200ns,100ns]]"))
