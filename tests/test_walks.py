"""The walk machinery beside the modes: nested TLB, walk caches by dimension, table backing, walkers, distributions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from memvirt.cost import latencies
from memvirt.cost.config import Cpu
from memvirt.mmu.port import COUNTED, TALLY, end_walk
from tests.support import composed, row

SMALL = ("workload=uniform", "workload.footprint=1MiB", "workload.accesses=20000", "guest.prefault=true")


def lengths(got: dict[str, Any]) -> dict[int, int]:
    return {int(part.split(":")[0]): int(part.split(":")[1]) for part in str(got["refs_per_walk"]).split()}


def test_nested_tlb_saves_host_walks() -> None:
    """One that holds everything leaves the guest's four references; each kind of host page has its own entries."""
    common = ["workload=uniform", "workload.footprint=8MiB", "workload.accesses=60000", "guest.prefault=true", "cache=none", "mmu=nested",
              "mmu.pwc.enabled=false"]  # fmt: skip
    got = row(*common, "mmu.nested_tlb.entries=4096")
    assert max(lengths(got).items(), key=lambda each: each[1])[0] == 4
    assert got["nested_tlb_hits"] * 4 + got["walk_refs_host"] == 20 * got["walks"]
    large = row(*common, "mmu.nested_tlb.entries=16", "host.page_size=2M")
    assert large["nested_tlb_hits"] * 3 + large["walk_refs_host"] == 15 * large["walks"]
    assert large["walk_refs_host"] < 0.1 * large["walks"]
    assert row(*common)["nested_tlb_hits"] == 0


def test_nested_tlb_forgets_what_the_host_takes() -> None:
    """Under pressure each swap-in is walked for: entries of the nested TLB don't outlive an eviction."""
    common = [
        "workload=zipf",
        "workload.footprint=4MiB",
        "workload.accesses=20000",
        "overcommit.ratio=1.3",
        "mmu=nested",
        "cache=none",
    ]
    got = row(*common, "mmu.nested_tlb.entries=4096")
    assert got["major_faults"] > 100
    assert got["walk_refs_data_l1"] >= got["major_faults"]


def test_walk_caches_of_no_one_and_two_dimensions() -> None:
    """Each dimension saves references, and in each no more than its own."""
    common = [
        "workload=uniform",
        "workload.footprint=64MiB",
        "workload.accesses=60000",
        "guest.prefault=true",
        "cache=none",
        "mmu=nested",
    ]
    for rule in ("combined", "entries"):
        two = row(*common, f"mmu.pwc.rule={rule}")
        one = row(*common, f"mmu.pwc.rule={rule}", "mmu.pwc.dimensions=1")
        none = row(*common, f"mmu.pwc.rule={rule}", "mmu.pwc.enabled=false")
        assert two["walk_refs_host"] < one["walk_refs_host"] <= none["walk_refs_host"] == 20 * none["walks"]
        assert one["walk_refs_guest"] < none["walk_refs_guest"]
        if rule == "combined":  # single entries of both share one cache, where the host's crowd the guest's out
            assert two["walk_refs_guest"] <= one["walk_refs_guest"]
        assert one["pwc_hits_host"] == none["pwc_hits_host"] == 0 < two["pwc_hits_host"]


def test_single_entries_save_their_own_reference_each() -> None:
    """Bhargava et al.: without a nested TLB every step of the walk is made, and each cached entry above the lowest saves one."""
    got = row("workload=uniform", "workload.footprint=2MiB", "workload.accesses=40000", "guest.prefault=true", "cache=none", "mmu=nested",
              "mmu.pwc.rule=entries", "mmu.pwc.entries.entries=64", "tlb.l1_4k.entries=4", "tlb.l2.entries=12", "tlb.l2.ways=12")  # fmt: skip
    hits = got["pwc_hits_guest"] + got["pwc_hits_host"]
    assert hits + got["walk_refs_guest"] + got["walk_refs_host"] == 24 * got["walks"]
    assert (
        max(lengths(got).items(), key=lambda each: each[1])[0] == 1 + 5
    )  # the lowest entries: the guest's, and five of the host's


@pytest.mark.parametrize(("data", "tables", "wanted"), [("4K", "2M", 4 * 4 + 4), ("2M", "4K", 4 * 5 + 3), ("2M", "2M", 4 * 4 + 3), ("4K", "1G", 4 * 3 + 4),
                                                        ("2M", "1G", 4 * 3 + 3)])  # fmt: skip
def test_tables_have_a_backing_of_their_own(data: str, tables: str, wanted: int) -> None:
    """4 guest tables through the host's walk for their own page size, and the data through that for its own."""
    got = row("mmu=nested", "mmu.pwc.enabled=false", "guest.prefault=true", "workload=uniform", "workload.accesses=3000", "cache=none",
              f"host.page_size={data}", f"host.table_page_size={tables}")  # fmt: skip
    assert lengths(got) == {wanted: got["walks"]}
    later = row("mmu=nested", "mmu.pwc.enabled=false", "workload=uniform", "workload.accesses=3000", "workload.warmup=0.9", "cache=none",
                "workload.footprint=512KiB", "tlb.l1_4k.entries=4", "tlb.l2.entries=12", "tlb.l2.ways=12", f"host.page_size={data}",
                f"host.table_page_size={tables}")  # fmt: skip
    assert lengths(later) == {wanted: later["walks"]}  # mapped on demand


def test_several_walkers_hide_walks_behind_each_other() -> None:
    """Of accesses that don't wait for each other; none of it changes a count, or what walks take one after the other."""
    common = [*SMALL, "workload.footprint=64MiB", "mmu=nested"]
    chased, one, two, mixed = (
        row(*common, "workload.dependence=1", "cpu.walkers=4"),
        row(*common, "workload.dependence=0", "cpu.walkers=1"),
        row(*common, "workload.dependence=0", "cpu.walkers=2"),
        row(*common, "workload.dependence=0.5", "cpu.walkers=4"),
    )
    assert chased["walk_cycles"] == one["walk_cycles"] == one["walk_pending_cycles"] == two["walk_pending_cycles"]
    assert two["walk_cycles"] == pytest.approx(one["walk_cycles"] / 2)
    assert mixed["walk_cycles"] == pytest.approx(one["walk_cycles"] * (0.5 + 0.5 / 4))
    assert two["cycles_per_walk_p50"] == one["cycles_per_walk_p50"]
    assert row(*common, "cpu.walk_shown=0.25")["walk_cycles"] == pytest.approx(one["walk_cycles"] / 4)


def test_references_and_cycles_by_dimension_and_level() -> None:
    """They add up to what the other columns say, and stand where the walk read them."""
    got = row(
        "mmu=nested",
        "workload=zipf",
        "workload.accesses=60000",
        "workload.footprint=32MiB",
        "numa=two_socket",
        "numa/placement=interleave",
    )
    parts = [f"{where}_l{level}" for where in ("guest", "host", "data", "outer") for level in range(1, 6)]
    assert sum(got[f"walk_refs_{part}"] for part in parts if part.startswith("guest")) == got["walk_refs_guest"]
    assert sum(got[f"walk_refs_{part}"] for part in parts if not part.startswith("guest")) == got["walk_refs_host"]
    looked_up = got["pwc_lookups_guest"] + got["pwc_lookups_host"]  # priced as one cycle each
    assert sum(got[f"walk_cycles_{part}"] for part in parts) + looked_up == pytest.approx(got["walk_pending_cycles"])
    assert got["walk_refs_guest_l1"] == got["walk_refs_data_l1"] + sum([0]) or got["faulting_walks"] > 0
    assert got["walk_refs_outer_l1"] == got["walk_refs_guest_l5"] == 0
    assert got["walk_refs_in_memory_remote"] > 0
    assert got["cycles_per_walk_p50"] <= got["cycles_per_walk_p90"] <= got["cycles_per_walk_p99"]


def test_quantiles_by_hand() -> None:
    """Nine walks of one L1D reference, one of two from memory, of which one is remote, behind a walk cache's hit."""
    cpu = Cpu.model_validate({**composed("cpu=generic")["cpu"], "memory_remote": 400})
    paths = np.array([[packed(1), 9], [packed(0, 0, 0, 2, 1, 1), 1]])
    assert latencies(cpu, paths).tolist() == [4.0, 4.0, 2 * 200 + 200 + 1]
    assert np.isnan(latencies(cpu, paths[:0])).all()


def packed(*numbers: int) -> int:
    """Key of a walk's path, as the MMU itself packs what the walk took (in `Port.walk`'s order)."""
    walk, context = np.zeros(9, np.int64), np.zeros(9, np.int64)
    walk[: len(numbers)], context[COUNTED] = numbers, 1
    port: Any = SimpleNamespace(
        walk=walk, context=context, tally=np.zeros(len(TALLY), np.int64), histogram=np.zeros((1, 8)), paths=[None]
    )
    with pytest.MonkeyPatch.context() as patch:
        kept: list[int] = []
        patch.setattr("memvirt.mmu.port.keep_path", lambda paths, key: kept.append(int(key)))
        getattr(end_walk, "py_func", end_walk)(port, 0, 0)
    return kept[0] - 1  # which `finish` takes off


def test_each_part_of_a_path_has_its_price() -> None:
    """One of a kind at a time: places, look-ups of walk caches, stacked memory (beyond main memory's price), cycles added."""
    cpu = Cpu.model_validate({**composed("cpu=generic")["cpu"], "memory_remote": 400, "memory_stacked": 150})
    prices = [cpu.l1d, cpu.l2, cpu.llc, cpu.memory, 400 - cpu.memory, cpu.pwc, 150 - cpu.memory, 1]
    for place, price in enumerate(prices):
        for times in (1, 3):
            numbers = [0] * place + [times]
            assert latencies(cpu, np.array([[packed(*numbers), 1]])).tolist() == [times * price] * 3
