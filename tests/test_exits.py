"""VM exits by reason: what each mode leaves to the host, and what that costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import composed, row, write_pages

SMALL = ("workload=uniform", "workload.footprint=1MiB", "workload.accesses=20000", "guest.prefault=true")


def test_unsynchronized_tables_exit_once_between_flushes() -> None:
    """256 pages share one table. Trapped: every write exits. Out of sync: the first, and the first after each flush."""
    common = [*SMALL, "mmu=shadow", "workload.table_writes_every=100", "workload.flush_every=5000"]
    trapped, unsync = row(*common, "mmu.unsync=false"), row(*common)
    assert trapped["vm_exits_page_table_write"] == 199
    assert trapped["vm_exits_shadow_fault_hidden"] > 100  # each trapped write leaves the entry empty
    assert unsync["vm_exits_page_table_write"] == 4
    assert unsync["resyncs"] == 3 == unsync["vm_exits_cr3_write"]
    assert unsync["vm_exits_shadow_fault_hidden"] == 0
    assert trapped["vm_exits_invlpg"] == unsync["vm_exits_invlpg"] == 199
    assert trapped["resyncs"] == 0
    assert unsync["exit_cycles"] < trapped["exit_cycles"]


def test_switches_synchronize_what_they_load() -> None:
    """Both processes' one table is written between any two switches; each switch synchronizes that of the address space it loads."""
    got = row(
        *SMALL,
        "mmu=shadow",
        "workload.processes=2",
        "workload.switch_every=1000",
        "workload.table_writes_every=10",
    )
    assert got["vm_exits_cr3_write"] == 19
    assert got["resyncs"] == 19
    assert got["vm_exits_page_table_write"] == 19 + 2  # the first to each table, and the first after each synchronization


def test_exits_of_demand_paging(tmp_path: Path) -> None:
    """A page and its two neighbours: under each mode, what the guest's three faults make the guest leave for.

    Under shadow the first page's tables are new but for the root, so one write is trapped; the second's runs into the lowest table,
    shadowed by then; the third's does unless that is out of sync.
    """
    path = write_pages(tmp_path / "t.parquet", [0, 1, 2])
    wanted: dict[str, dict[str, int]] = {
        "native": {},
        "nested": {"ept_violation": 5 + 1 + 1},
        "shadow": {"shadow_fault_true": 3, "shadow_fault_hidden": 3, "page_table_write": 1 + 1},
        "shadow mmu.unsync=false": {"shadow_fault_true": 3, "shadow_fault_hidden": 3, "page_table_write": 1 + 1 + 1},
        # Seven first touches: four tables and three pages, each two violations, a call and a hidden fault. Of the guest hypervisor's
        # own tables all are new at the first, so its root's entry is trapped, and the lowest table's at the second.
        "nested2": {"ept_violation": 2 * 7, "hypercall": 7, "shadow_fault_hidden": 7, "page_table_write": 1 + 1},
        "nested2 mmu.unsync=false": {"ept_violation": 2 * 7, "hypercall": 7, "shadow_fault_hidden": 7, "page_table_write": 1 + 6},
        "nested2 mmu.walk=three_dimensional": {"ept_violation": 2 * 7, "hypercall": 7},
        "paravirt": {"shadow_fault_true": 3, "shadow_fault_hidden": 5 + 1 + 1, "hypercall": 3},
    }
    for mode, exits in wanted.items():
        got = row("workload=trace", f"workload.path={path}", *f"mmu={mode}".split())
        found = {name.removeprefix("vm_exits_"): value for name, value in got.items() if name.startswith("vm_exits_") and value}
        assert found == exits, mode
        assert got["vm_exits"] == sum(exits.values())


@pytest.mark.parametrize("unsync", ["true", "false"])
def test_a_new_table_is_not_shadowed_yet(tmp_path: Path, unsync: str) -> None:
    """A page that needs one new table: its fault, the write that links the table, the hidden fault; what goes into the table is free."""
    first, both = (
        row("workload=trace", f"workload.path={write_pages(tmp_path / name, pages)}", "mmu=shadow", f"mmu.unsync={unsync}")
        for name, pages in (("one.parquet", [0]), ("two.parquet", [0, 512]))
    )
    assert both["vm_exits"] - first["vm_exits"] == 3


def test_only_tables_of_small_pages_are_out_of_sync() -> None:
    """KVM write-protects what lies above the tables of 4K pages whatever happens."""
    common = ["workload=uniform", "workload.footprint=8MiB", "workload.accesses=3000", "workload.table_writes_every=100", "guest.prefault=all",
              "guest.page_size=2M", "host.page_size=2M", "mmu=shadow"]  # fmt: skip
    got = row(*common)
    assert got["vm_exits_page_table_write"] == got["vm_exits_invlpg"] == got["vm_exits_shadow_fault_hidden"] == 29
    assert got["resyncs"] == 0


@pytest.mark.parametrize("mode", ["native", "nested", "shadow", "agile", "paravirt", "flattened"])
def test_forks_copy_on_write(mode: str) -> None:
    """After a fork the first write to each page faults, and no other; then the page is writable until the next fork."""
    common = ["workload=uniform", "workload.footprint=1MiB", "workload.accesses=40000", "workload.fork_every=20000", "workload.write_share=0.5",
              "guest.prefault=all", f"mmu={mode}"]  # fmt: skip
    got = row(*common)
    assert got["guest_cow_faults"] == got["minor_faults"] == 256  # each of 256 pages is written in what is left
    assert got["tlb_flushes"] >= 1
    assert got["faulting_walks"] >= 256
    assert got["walks"] == got["l2_tlb_misses"] + got["faulting_walks"]
    assert row(*common, "workload.write_share=0")["guest_cow_faults"] == 0
    if mode == "shadow":
        trapped = row(*common, "mmu.unsync=false")
        assert trapped["vm_exits_page_table_write"] == 256 + 256  # protected, and each made writable again
        assert got["vm_exits_page_table_write"] == 1 + 1  # the first of either, since the flush synchronizes the table
    if mode in ("native", "nested", "flattened"):
        assert got["vm_exits"] == 0


def test_exit_prices_add_up() -> None:
    """Every reason has its price in every preset."""
    for preset, trip in (("generic", 1800), ("zen4", 1360), ("nehalem", 1009)):
        got = row(*SMALL, "mmu=shadow", f"cpu={preset}", "workload.table_writes_every=50", "workload.flush_every=900",
                  "workload.remap_every=3000", "workload.processes=2", "mmu.ad_bits=true")  # fmt: skip
        prices = composed(f"cpu={preset}")["cpu"]
        assert prices["exit_ept_violation"] == trip
        total = sum(
            prices["exit_" + name.removeprefix("vm_exits_")] * value for name, value in got.items() if name.startswith("vm_exits_")
        )
        assert got["exit_cycles"] == pytest.approx(total + prices["resync"] * got["resyncs"])
        assert got["translation_share"] == pytest.approx(
            sum(got[f"{part}_cycles"] for part in ("tlb", "walk", "exit", "shootdown")) / got["cycles"]
        )
