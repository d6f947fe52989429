"""Pictures of a TLB set, presets, and what shootdowns and flushes take out."""

from __future__ import annotations

import numpy as np
import pytest

from memvirt import memory, tlb
from memvirt.policy import load
from memvirt.tlb import Tlb
from memvirt.tlb.replacement import fill, touch, victim
from memvirt.types import Traits
from tests.support import composed, memory_config, row, rows, trace

FULL = "full"
#: Entries and ways of each preset's arrays by level and page size: CPUID dumps, as PUBLISHED section 6 lists them.
GEOMETRY = {
    "haswell": {1: {"4K": [(64, 4)], "2M": [(32, 4)], "1G": [(4, 4)]}, 2: {"4K": [(1024, 8)], "2M": [(1024, 8)], "1G": []}},
    "skylake": {1: {"4K": [(64, 4)], "2M": [(32, 4)], "1G": [(4, 4)]}, 2: {"4K": [(1536, 12)], "2M": [(1536, 12)], "1G": [(16, 4)]}},
    "cascade_lake": {1: {"4K": [(64, 4)], "2M": [(32, 4)], "1G": [(4, 4)]}, 2: {"4K": [(1536, 12)], "2M": [(1536, 12)], "1G": [(16, 4)]}},
    "icelake": {1: {"4K": [(16, 16), (64, 4)], "2M": [(16, 16), (32, 4)], "1G": [(8, 8), (16, 16)]}, 2: {"4K": [(1024, 8)] * 2, "2M": [(1024, 8)], "1G": [(1024, 8)]}},
    "sapphire_rapids": {1: {"4K": [(16, 16), (96, 6)], "2M": [(16, 16), (32, 4)], "1G": [(8, 8), (16, 16)]}, 2: {"4K": [(1024, 8)] * 2, "2M": [(1024, 8)], "1G": [(1024, 8)]}},
    "granite_rapids": {1: {"4K": [(16, 16), (96, 6)], "2M": [(16, 16), (32, 4)], "1G": [(8, 8), (16, 16)]}, 2: {"4K": [(1024, 8)] * 2, "2M": [(1024, 8)], "1G": [(1024, 8)]}},
    "neoverse_n1": {1: {"4K": [(48, 48)], "2M": [(48, 48)], "1G": [(48, 48)]}, 2: {"4K": [(1280, 5)], "2M": [(1280, 5)], "1G": [(1280, 5)]}},
    "zen2": {1: {"4K": [(64, 64)], "2M": [(64, 64)], "1G": [(64, 64)]}, 2: {"4K": [(2048, 8)], "2M": [(2048, 4)], "1G": []}},
    "zen3": {1: {"4K": [(64, 64)], "2M": [(64, 64)], "1G": [(64, 64)]}, 2: {"4K": [(2048, 8)], "2M": [(2048, 4)], "1G": [(64, 64)]}},
    "zen4": {1: {"4K": [(72, 72)], "2M": [(72, 72)], "1G": [(72, 72)]}, 2: {"4K": [(3072, 8)], "2M": [(3072, 6)], "1G": [(64, 64)]}},
    "zen5": {1: {"4K": [(96, 96)], "2M": [(96, 96)], "1G": [(96, 96)]}, 2: {"4K": [(4096, 8)], "2M": [(4096, 4)], "1G": [(1024, 4)]}},
}  # fmt: skip


@pytest.mark.parametrize("preset", GEOMETRY)
def test_presets(preset: str) -> None:
    """Arrays that hold each page size at each level."""
    config = Tlb.model_validate(composed(f"tlb={preset}")["tlb"])
    for level, sizes in GEOMETRY[preset].items():
        for size, wanted in sizes.items():
            found = [(a.entries, a.associativity) for a in config.arrays.values() if a.level == level and size in a.page_sizes]
            assert sorted(found) == wanted, (level, size)


@pytest.mark.parametrize(
    ("policy", "used", "wanted"),
    [
        ("lru", [0, 1, 2, 3, 0], 1),
        ("fifo", [0, 1, 2, 3, 0], 0),
        ("tree_plru", [0, 1, 2, 3], 0),
        ("tree_plru", [0, 1, 2, 3, 0], 2),
        ("tree_plru", [0, 2, 1, 3], 0),
    ],
)
def test_victims(policy: str, used: list[int], wanted: int) -> None:
    """Which of four ways goes after these were filled and used."""
    state = load("tlb.replacement", policy).make(4, [4], 1)
    seen = set[int]()
    for way in used:
        (touch if way in seen else fill)(state, 0, 4, way)
        seen.add(way)
    assert int(victim(state, 0, 4)) == wanted


def test_bit_plru_spares_the_marked() -> None:
    """The victim is one whose bit is clear."""
    state = load("tlb.replacement", "bit_plru").make(4, [4], 1)
    for way in range(4):
        fill(state, 0, 4, way)  # the last clears all other bits
    touch(state, 0, 4, 1)
    assert {int(victim(state, 0, 4)) for _ in range(100)} == {0, 2}


def counts(found: tlb.Walks) -> dict[str, int]:
    """Counters by name."""
    return dict(zip(found.counters.names, found.counters.values.sum(axis=(0, 1)).tolist(), strict=True))


@pytest.mark.parametrize(("scope", "misses"), [("page", 4), ("vm", 5)])
def test_scope_of_a_host_unmap(scope: str, misses: int) -> None:
    """When 2 pushes 1 out of two frames, 9's entry stays under `page` and goes under `vm`."""
    run = trace([1, 9, 2, 9, 1])  # the last 1 pushes 9 out
    machine = memory.run(memory_config(overrides=["overcommit.host_memory=8KiB", "reclaim/replacement=fifo"]), [run])
    config = Tlb.model_validate(composed("tlb=reference")["tlb"])
    found = tlb.run(config, Traits(dimensions=1, host_unmap=scope), [run], machine.space, machine.schedule, machine.shootdowns)
    assert counts(found)["l2_tlb_misses"] == misses
    assert counts(found)["tlb_flushes"] == (2 if scope == "vm" else 0)
    assert counts(found)["tlb_shootdowns"] == (0 if scope == "vm" else 2)


def test_host_unmap_of_all_entries_costs_walks() -> None:
    """Under pressure EPT's flushes make nested walk more often than shadow, which drops one page."""
    common = ["workload=zipf", "workload.accesses=30000", "workload.footprint=4MiB", "overcommit.ratio=1.3"]
    shadow, nested = row("mmu=shadow", *common), row("mmu=nested", *common)
    assert shadow["major_faults"] == nested["major_faults"] > 0
    assert nested["l2_tlb_misses"] > shadow["l2_tlb_misses"]
    assert nested["tlb_flushes"] > 0 == shadow["tlb_flushes"]


def test_address_spaces() -> None:
    """With PCIDs entries outlive a switch; without, and under shadow paging, they don't."""
    common = [
        "workload=uniform",
        "workload.accesses=20000",
        "workload.footprint=128KiB",
        "workload.processes=2",
        "workload.switch_every=1000",
    ]
    tagged = row("mmu=native", *common, "guest.prefault=true")
    flushed = row("mmu=native", *common, "guest.prefault=true", "tlb.pcid=false")
    shadow = row("mmu=shadow", *common, "guest.prefault=true")
    assert tagged["l2_tlb_misses"] == 64
    assert tagged["tlb_flushes"] == 0
    assert flushed["l2_tlb_misses"] == shadow["l2_tlb_misses"] == 32 * 20
    assert flushed["tlb_flushes"] == shadow["tlb_flushes"] == shadow["vm_exits_cr3_write"] == 19


def test_vms_on_one_cpu() -> None:
    """With VPIDs entries outlive a switch of VM; without, each preemption flushes."""
    common = ["workload=uniform", "workload.accesses=20000", "workload.footprint=128KiB", "vms.count=2", "numa.cpus_per_node=1",
              "numa.slice=1us", "clock.quantum=100", "guest.prefault=true", "mmu=nested"]  # fmt: skip
    tagged, flushed = rows(*common), rows(*common, "tlb.vpid=false")
    assert sum(got["l2_tlb_misses"] for got in tagged) == 64
    assert sum(got["tlb_flushes"] for got in flushed) > 10
    assert sum(got["l2_tlb_misses"] for got in flushed) > 640


def test_unmapped_pages_leave_the_tlb() -> None:
    """A page that the guest unmaps and touches again misses again."""
    run = trace([5, 5, 5, 5], events=[(2, 2, 0, 0)])
    machine = memory.run(memory_config(), [run])
    config = Tlb.model_validate(composed("tlb=reference")["tlb"])
    found = tlb.run(config, Traits(dimensions=1), [run], machine.space, machine.schedule, machine.shootdowns)
    assert counts(found)["l2_tlb_misses"] == 2


def test_entry_is_the_smaller_page() -> None:
    """Nested: 2M pages over a 4K host need 4K entries, 2M over 2M one."""
    common = [
        "mmu=nested",
        "workload=uniform",
        "workload.accesses=20000",
        "workload.footprint=16MiB",
        "guest.prefault=true",
        "guest.page_size=2M",
    ]
    assert row(*common, "host.page_size=4K")["l2_tlb_misses"] > 3000
    assert row(*common, "host.page_size=2M")["l2_tlb_misses"] == 8


@pytest.mark.parametrize(
    ("overrides", "cycles"),
    [
        (["tlb.l1_4k.hit_cycles=3"], 5 * 3),
        (["tlb.l1_4k.hit_cycles=3", "tlb.l2.hit_cycles=7"], 5 * 3 + 2 * 7),
        (["tlb.l1_4k.hit_cycles=3", "tlb.l2.hit_cycles=7", "tlb.inclusion=exclusive"], 5 * 3 + 2 * 7),
        (["tlb.l1_4k.hit_cycles=3", "tlb.l1_2m.hit_cycles=4"], 3 * 3 + 2 * 4),  # a miss is known when the slowest array answers
        (["tlb.l2.page_sizes=[2M]", "tlb.l2.hit_cycles=7"], 2 * 7),  # nor is it known before that a level has no such pages
    ],
)
def test_a_look_up_costs_found_or_not(overrides: list[str], cycles: int) -> None:
    """Three hits, repeated ones among them, and two misses; each level that is passed is paid for."""
    run = trace([1, 1, 2, 1, 1])
    machine = memory.run(memory_config(overrides=["guest.prefault=true"]), [run])
    none = [f"tlb.{array}.hit_cycles=0" for array in ("l1_4k", "l1_2m", "l2")]
    config = Tlb.model_validate(composed("tlb=reference", *none, *overrides)["tlb"])
    found = tlb.run(config, Traits(dimensions=1), [run], machine.space, machine.schedule, machine.shootdowns)
    assert counts(found)["tlb_lookup_cycles"] == cycles


def test_xor_index() -> None:
    """The xor of two groups of bits spreads a stride that modulo piles up in one set."""
    pages = (np.arange(24) * 128).tolist() * 20
    common = memory_config(overrides=["guest.prefault=true"])
    misses = {}
    for index in ("modulo", "xor"):
        config = Tlb.model_validate(composed("tlb=skylake", f"tlb.index={index}", "tlb.l1_4k.entries=4")["tlb"])
        machine = memory.run(common, [trace(pages)])
        misses[index] = counts(
            tlb.run(config, Traits(dimensions=1), [trace(pages)], machine.space, machine.schedule, machine.shootdowns)
        )
    assert misses["modulo"]["l2_tlb_misses"] == len(pages)
    assert misses["xor"]["l2_tlb_misses"] == 24
