"""NUMA: where data and the three kinds of tables lie, what is counted of it, and what it costs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from memvirt.cost import price
from memvirt.cost.config import Cpu
from memvirt.errors import CapacityError, ConfigError
from memvirt.memory.topology import fallback_order, parse_numactl, plain_distances
from tests.support import composed, here, row, rows

PLAIN = (
    "workload=uniform",
    "workload.footprint=64MiB",
    "workload.accesses=4000",
    "guest.prefault=all",
    "cache=none",
    "reclaim=none",
)
#: Each kind of table: the mode that has it, its key, and which references are to it.
TABLES = [
    ("native", "guest_tables"),
    ("nested", "guest_tables"),
    ("nested", "host_tables"),
    ("shadow", "shadow_tables"),
]
NODES = {2: "two_socket", 4: "four_socket"}


def refs_of(got: dict[str, Any], kind: str) -> int:
    """References to memory of a kind, by the sum over node pairs."""
    return sum(int(pair.partition(":")[2]) for pair in str(got[f"node_traffic_{kind}"]).split())


@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.parametrize(("mode", "kind"), TABLES)
def test_interleaved_tables_are_remote_in_proportion(mode: str, kind: str, nodes: int) -> None:
    """Over n nodes (n - 1) / n of the references, nearly all of which are to leaves, since walk caches hold what is above."""
    held = [f"mmu.pwc.{dimension}.pde={{entries:256,ways:full}}" for dimension in ("guest", "host")]
    got = row(*PLAIN, *held, "workload.footprint=256MiB", f"mmu={mode}", f"numa={NODES[nodes]}", f"numa.{kind}=interleave")
    refs, share = refs_of(got, kind), (nodes - 1) / nodes
    assert refs > 3000
    assert got[f"remote_refs_{kind}"] == pytest.approx(refs * share, abs=3 * math.sqrt(refs * share * (1 - share)))
    others = {other for _, other in TABLES} - {kind}
    assert all(got[f"remote_refs_{other}"] == 0 for other in others)


@pytest.mark.parametrize(("mode", "kind"), TABLES)
def test_replicated_tables_are_local(mode: str, kind: str) -> None:
    """To the cycle; translations and TLB misses are what they were."""
    common = (*PLAIN, f"mmu={mode}", "numa=two_socket", "cache=full")
    local, replicated, away = rows_of(common, kind, "local", "replicated", "1")
    for name in ("walk_pending_cycles", "walk_cycles", "data_cycles", "l1_tlb_misses", "l2_tlb_misses", "walks", "refs_per_walk"):
        assert replicated[name] == local[name], name
    assert away["walk_pending_cycles"] > local["walk_pending_cycles"]
    assert away["refs_per_walk"] == local["refs_per_walk"]
    assert away[f"remote_refs_{kind}"] == refs_of(away, kind) > 0


def rows_of(common: tuple[str, ...], kind: str, *places: str) -> list[dict[str, Any]]:
    """A row for each place of the tables."""
    return [row(*common, f"numa.{kind}={place}") for place in places]


@pytest.mark.parametrize("mode", ["native", "nested", "shadow", "ecpt"])
def test_no_table_lies_where_no_policy_named(mode: str) -> None:
    """Thin VMs on nodes of their own have nothing on the other's, tables of before the first access included."""
    common = (*PLAIN, "workload.footprint=2MiB", f"mmu={mode}", "numa=two_socket", "numa/scheduler=spread", "vms.count=2")
    for got in rows(*common):
        assert got["walk_refs_in_memory"] > 0
        assert got["walk_refs_in_memory_remote"] == got["remote_accesses"] == 0
    kind = {"native": "guest_tables", "ecpt": "shadow_tables"}.get(mode, "guest_tables" if mode == "nested" else "shadow_tables")
    first, second = rows(*common, f"numa.{kind}=1")
    assert first[f"remote_refs_{kind}"] == refs_of(first, kind) > 0
    assert second[f"remote_refs_{kind}"] == 0 < refs_of(second, kind)


@pytest.mark.parametrize(("mode", "kind"), TABLES[:3])
def test_each_table_write_is_made_on_all_replicas(mode: str, kind: str) -> None:
    """A page that is mapped is an entry, and so is a new table: as many as pages that are cleared for either."""
    busy = ("workload=uniform", "workload.footprint=2MiB", "workload.accesses=4000", "workload.warmup=0", "workload.remap_every=50",
            "workload.table_writes_every=40", "cache=none", "reclaim=none", f"mmu={mode}")  # fmt: skip
    two, four = (row(*busy, f"numa={name}", f"numa.{kind}=replicated") for name in NODES.values())
    once = row(*busy, "numa=four_socket")
    assert once["replica_maps"] == once["replica_unmaps"] == once["replica_protects"] == 0
    for name in ("replica_maps", "replica_unmaps", "replica_protects"):
        assert four[name] == 3 * two[name]
    if kind == "guest_tables":
        assert two["replica_maps"] == two["guest_cleared_pages"]
        assert two["replica_unmaps"] == two["unmapped_entries"] > 0
        assert two["replica_protects"] == two["protected_entries"] > 0
    else:
        assert two["replica_maps"] == two["host_cleared_pages"] > 0
    for name in ("l1_tlb_misses", "l2_tlb_misses", "walks", "refs_per_walk", "minor_faults"):
        assert two[name] == four[name] == once[name]
    paid = 46 * four["replica_maps"] + 53.67 * four["replica_unmaps"] + 65.67 * four["replica_protects"]
    assert four["cycles"] - once["cycles"] == pytest.approx(paid)


def test_what_replicas_cost() -> None:
    """Mitosis, table 5 of its artifact, a page of 2,048: 1539, 310 and 60 cycles, with four replicas 1677, 471 and 257."""
    cpu = Cpu.model_validate(composed("cpu=generic")["cpu"])
    for name, without, with_four in (("replica_maps", 1539, 1677), ("replica_unmaps", 310, 471), ("replica_protects", 60, 257)):
        cycles = price(cpu, {name: np.array([[3]])})["cycles"]
        assert without + cycles.item() == pytest.approx(with_four, abs=0.05)


def test_an_identity_host_is_native() -> None:
    """Under the same placement of the guest's tables, and its tables cost the same where the host has tables of its own."""
    for place in ("1", "interleave", "replicated"):
        common = (*PLAIN, "numa=two_socket", f"numa.guest_tables={place}")
        native, identity, nested = (
            row(*common, *more) for more in (["mmu=native"], ["mmu=nested", "host.levels=0"], ["mmu=nested"])
        )
        for name in ("walk_pending_cycles", "remote_refs_guest_tables", "node_traffic_guest_tables", "walks"):
            assert native[name] == identity[name]
        assert nested["remote_refs_guest_tables"] == native["remote_refs_guest_tables"]
        assert nested["remote_refs_host_tables"] == 0


def test_the_old_name_of_the_keys() -> None:
    """It means a process's tables under one dimension, the host's under two, as it did."""
    for mode, kind in (("native", "guest_tables"), ("nested", "host_tables")):
        old, new = (row(*PLAIN, f"mmu={mode}", "numa=two_socket", f"numa.{key}=interleave") for key in ("page_tables", kind))
        assert old["cycles"] == new["cycles"]
        assert old[f"remote_refs_{kind}"] == new[f"remote_refs_{kind}"] > 0


@pytest.mark.parametrize("mode", ["native", "nested", "shadow", "ecpt", "pom_tlb"])
def test_node_pairs_add_up(mode: str) -> None:
    """To the references from memory; those off the diagonal to the remote ones."""
    got = row(*PLAIN, f"mmu={mode}", "numa=four_socket", "numa/placement=interleave", "numa.host_tables=interleave", "cache=full",
              "workload.accesses=20000")  # fmt: skip
    assert refs_of(got, "data") == got["data_refs_in_memory"] > 0
    tables = ("guest_tables", "host_tables", "shadow_tables")
    assert sum(refs_of(got, kind) for kind in tables) == got["walk_refs_in_memory"] > 0
    assert got["remote_refs_data"] == got["data_refs_in_memory_remote"] > 0
    assert sum(got[f"remote_refs_{kind}"] for kind in tables) == got["walk_refs_in_memory_remote"]


@pytest.mark.parametrize(
    ("distances", "has_cpus", "expected"),
    [
        (plain_distances(4), [True] * 4, [[0, 1, 2, 3], [1, 2, 3, 0], [2, 3, 0, 1], [3, 0, 1, 2]]),
        (  # two sockets of two clusters: the second node of each socket goes to the other end of the other one
            [[10, 11, 21, 21], [11, 10, 21, 21], [21, 21, 10, 11], [21, 21, 11, 10]],
            [True] * 4,
            [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]],
        ),
        ([[10, 21, 14], [21, 10, 24], [14, 24, 10]], [True, True, False], [[0, 2, 1], [1, 0, 2], [2, 0, 1]]),
        (plain_distances(3), [True, True, False], [[0, 2, 1], [1, 2, 0], [2, 0, 1]]),  # a node without CPUs is preferred
    ],
)
def test_fallback_order(distances: Any, has_cpus: list[bool], expected: list[list[int]]) -> None:
    """By hand, from the rules of `find_next_best_node` and `build_zonelists`."""
    assert fallback_order(np.array(distances), has_cpus).tolist() == expected


NUMACTL = """available: 3 nodes (0-2)
node 0 cpus: 0 1 2 3
node 0 size: 64215 MB
node 0 free: 61000 MB
node 1 cpus: 4 5 6 7
node 1 size: 64508 MB
node 1 free: 62000 MB
node 2 cpus:
node 2 size: 128000 MB
node 2 free: 127000 MB
node distances:
node   0   1   2
  0:  10  21  14
  1:  21  10  24
  2:  14  24  10
"""


def test_a_machine_as_numactl_prints_it(tmp_path: Any) -> None:
    """Nodes, CPUs, sizes and distances; a node without CPUs is far."""
    (tmp_path / "machine.txt").write_text(NUMACTL)
    numa = composed(f"numa.path={tmp_path / 'machine.txt'}")
    from memvirt.memory.numa import Numa

    found = Numa.model_validate(numa["numa"])
    assert (found.nodes, found.cpus_per_node, found.far_nodes, found.path) == (3, 4, 1, None)
    assert found.memory == [64215 << 20, 64508 << 20, 128000 << 20]
    assert found.distances == [[10, 21, 14], [21, 10, 24], [14, 24, 10]]
    for text in ("", NUMACTL.replace("node 1 size", "node 3 size"), NUMACTL.replace("  2:  14  24  10\n", "")):
        with pytest.raises(ConfigError, match="numactl -H"):
            parse_numactl(text)


def test_one_vm_that_fits_a_node_is_local() -> None:
    """Unless the host's memory is said to be no more than is promised."""
    common = ("workload=uniform", "workload.footprint=4MiB", "workload.accesses=4000", "reclaim=none")
    assert [row(*common, f"numa={name}")["remote_accesses"] for name in NODES.values()] == [0, 0]
    half = row(*common, "guest.prefault=all", "numa=two_socket", "overcommit.ratio=1")
    assert half["remote_accesses"] == pytest.approx(half["accesses"] / 2, rel=0.1)


def test_a_full_node_falls_back() -> None:
    """In its fallback order, node by node; no page is on two nodes, and none is lost."""
    common = ("workload=uniform", "workload.footprint=4MiB", "workload.accesses=20000", "guest.prefault=all", "reclaim=none",
              "numa=snc2", "cache=full", "mmu=native", "cache.llc.size=64KiB", "cache.l2.size=64KiB")  # fmt: skip
    got = row(*common, "numa.memory=[1MiB,512KiB,8MiB,8MiB]")
    shares = {pair.partition(":")[0]: int(pair.partition(":")[2]) for pair in got["node_traffic_data"].split()}
    assert set(shares) == {"0>0", "0>1", "0>2"}
    total = sum(shares.values())
    assert [shares[f"0>{node}"] / total for node in range(3)] == pytest.approx([0.25, 0.125, 0.625], abs=0.02)


def test_placements() -> None:
    """By the share of pages on each node."""
    common = ("workload=uniform", "workload.footprint=4MiB", "workload.accesses=40000", "reclaim=none", "numa=two_socket",
              "guest.prefault=all", "cache=none", "numa.memory=[3MiB,3MiB]")  # fmt: skip

    def remote(*more: str) -> float:
        got = row(*common, *more)
        return float(got["remote_accesses"] / got["accesses"])

    assert remote("numa/placement=weighted_interleave", "numa.placement.weights=[3,1]") == pytest.approx(0.25, abs=0.01)
    assert remote("numa/placement=preferred", "numa.placement.node=1") == pytest.approx(0.75, abs=0.01)
    assert remote() == pytest.approx(0.25, abs=0.01)
    assert remote("vms.nodes=[1]", "numa.memory=[3MiB,4MiB]") == 1
    for bound in (["vms.nodes=[1]"], ["numa/placement=bind", "numa.placement.nodes_allowed=[1]"]):
        with pytest.raises(CapacityError, match=r"the nodes that VM 0 may use \(1\) are full"):
            row(*common, *bound)
    for wrong, key in (
        ("numa.placement.weights=[1]", "numa.placement.weights"),
        ("numa.placement.weights=[0,0]", "numa.placement.weights"),
    ):
        with pytest.raises(ConfigError) as refused:
            row(*common, "numa/placement=weighted_interleave", wrong)
        assert refused.value.key == key


def test_latencies_by_node_pair() -> None:
    """Each pair has its price: with all of them alike nothing is left of where data and tables are."""
    common = (*PLAIN, "cache=full", "mmu=nested", "numa=two_socket", "numa/placement=interleave", "numa.host_tables=1")
    flat, far = (row(*common, f"numa.latencies=[[100ns,{away}],[{away},100ns]]") for away in ("100ns", "200ns"))
    ghz = Cpu.model_validate(composed("cpu=generic")["cpu"]).ghz
    assert far["walk_pending_cycles"] - flat["walk_pending_cycles"] == pytest.approx(100 * ghz * far["walk_refs_in_memory_remote"])
    local = row(*PLAIN, "cache=full", "mmu=native", "numa=two_socket", "numa.latencies=[[100ns,300ns],[300ns,100ns]]")
    assert local["slowdown"] == 1.0


def test_a_heat_map_of_node_pairs() -> None:
    """Each kind of what is read has a panel, and all fields together are everything."""
    from memvirt.drawing.sweep import overview
    from memvirt.drawing.traffic import pairs_of

    got = rows(*PLAIN, "workload.footprint=2MiB", "numa=two_socket", "numa.host_tables=interleave", "vms.count=2")
    frame = pd.DataFrame(got).assign(status="ok", point_id="a")
    assert pairs_of(frame["node_traffic_host_tables"]).keys() == {(0, 0), (0, 1)}
    pictures = dict(overview(frame, []))
    shown = [axes for axes in pictures["traffic"].axes if axes.get_title()]
    assert [axes.get_title() for axes in shown] == ["guest's or process's tables", "host's tables"]
    assert sum(float(text.get_text()) for axes in shown for text in axes.texts) == pytest.approx(100, abs=0.2)
    assert "traffic" not in dict(overview(frame.filter(regex="^(?!node_traffic)"), []))
    two = pd.concat([frame.assign(mmu=name, point_id=name) for name in ("nested", "shadow")])
    titles = [axes.get_title() for axes in dict(overview(two, ["mmu"]))["traffic"].axes if axes.get_title()]
    assert titles == [
        f"{what}\n{name}" for name in ("nested", "shadow") for what in ("guest's or process's tables", "host's tables")
    ]
    many = pd.concat([frame.assign(**{"vms.memory": size}) for size in range(9)])
    assert "traffic" not in dict(overview(many, ["vms.memory"]))  # a sum over designs is none's


def test_a_timeline_of_local_shares(tmp_path: Any) -> None:
    """A panel a VM, a line for each thing that is counted, at one less what is remote; the point with most of that is taken."""
    from memvirt.drawing.locality import locality

    made = pd.DataFrame({
        "point_id": ["a"] * 4 + ["b"] * 4, "replicate": 0, "numa.nodes": [2] * 4 + [4] * 4, "vm": [0, 0, 1, 1] * 2, "epoch": [0, 1] * 4,
        "accesses": 100, "remote_accesses": [0, 25, 0, 0, 50, 100, 0, 0], "host_tables_remote": [100, 50, 0, 0] * 2,
    })  # fmt: skip
    figure = locality(made[made["point_id"] == "a"])
    first, second = figure.axes
    assert [line.get_ydata().tolist() for line in first.lines] == [[1.0, 0.75], [0.0, 0.5]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["data", "host's tables"]
    assert second.get_title() == "VM 1"
    (tmp_path / "made").mkdir()
    made.to_parquet(tmp_path / "made/epochs.parquet")
    done = here("memvirt.figures", "made", "--locality", cwd=tmp_path)
    assert "b has most that is remote" in done.stdout, done.stderr
    assert (tmp_path / done.stdout.split("wrote ")[1].strip()).stat().st_size > 10_000


def test_the_old_name_is_said_once() -> None:
    """In one line, whatever the values."""
    from memvirt.sweep.plan.mix import renamed_keys

    assert renamed_keys(["mmu=native", "numa.page_tables=as_data,interleave"]).count("numa.page_tables") == 1
    assert renamed_keys(["numa.guest_tables=1"]) == ""
