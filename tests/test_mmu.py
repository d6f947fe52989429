"""VM exits by reason, faulting walks, page-walk caches and page sizes: small cases counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import row, write_pages

ALONE = ("workload=trace", "cache=none", "mmu.pwc.enabled=false", "tlb=skylake", "numa=uma")


def run(tmp_path: Path, pages: list[int], *overrides: str) -> dict[str, object]:
    """Row of a little trace."""
    return row(*ALONE, f"workload.path={write_pages(tmp_path / 't.parquet', pages)}", *overrides)


def test_native_faults(tmp_path: Path) -> None:
    """The first walk finds no tables at all; one to a neighbour's missing page reads all four levels."""
    got = run(tmp_path, [0, 1], "mmu=native")
    assert got["refs_per_walk"] == "4:3 0:1"
    assert (got["walks"], got["faulting_walks"], got["minor_faults"], got["vm_exits"]) == (4, 2, 2, 0)


def test_nested_faults(tmp_path: Path) -> None:
    """A guest fault, then walks that run into what the host lacks; each EPT violation is an exit."""
    got = run(tmp_path, [0], "mmu=nested")
    # The guest's fault is taken at the root of tables that the host has yet to back, so the guest's kernel, which writes
    # them and clears the page, takes five EPT violations (four tables, one page) before the access is tried again.
    assert got["minor_faults"] == 1
    assert got["vm_exits_ept_violation"] == got["host_minor_faults"] == 5
    assert got["vm_exits"] == 5
    assert got["walks"] == got["faulting_walks"] + 1


def test_shadow_exits(tmp_path: Path) -> None:
    """A true fault, the guest's writes to tables that are shadowed, and the hidden fault that fills the shadow entry."""
    got = run(tmp_path, [0, 1, 0], "mmu=shadow")
    assert got["vm_exits_shadow_fault_true"] == 2
    assert got["vm_exits_shadow_fault_hidden"] == 2
    assert got["vm_exits_page_table_write"] == 1 + 1  # the root's entry, above three new tables; and one with no new table
    assert got["vm_exits"] == 4 + 2


def test_shadow_pays_for_table_writes_and_switches() -> None:
    """And nested doesn't."""
    common = ["workload=uniform", "workload.accesses=20000", "workload.footprint=1MiB", "guest.prefault=true",
              "workload.processes=2", "workload.switch_every=2000", "workload.table_writes_every=100", "workload.remap_every=5000"]  # fmt: skip
    shadow, nested, native = (row(f"mmu={mode}", *common) for mode in ("shadow", "nested", "native"))
    trapped = row("mmu=shadow", "mmu.unsync=false", *common)
    assert shadow["vm_exits_cr3_write"] == 9
    assert (
        190 + 40 <= shadow["vm_exits_invlpg"] <= 199 + 48
    )  # a rewritten entry's, and three times sixteen pages, some of them twice
    assert trapped["vm_exits_page_table_write"] >= 190 + 2 * 40
    assert shadow["vm_exits_page_table_write"] == 9 + 2  # each process's one table, and again after each switch to it
    assert (
        trapped["vm_exits_shadow_fault_hidden"] > shadow["vm_exits_shadow_fault_hidden"] == shadow["vm_exits_shadow_fault_true"] > 0
    )
    assert nested["vm_exits"] == native["vm_exits"] == 0
    assert shadow["cycles"] > nested["cycles"] > native["cycles"]


def test_crossover_of_shadow_and_nested() -> None:
    """Shadow wins where TLB misses are many, nested where table writes are (Wang et al., VEE'11)."""
    common = ["workload=uniform", "workload.accesses=40000", "guest.prefault=true", "mmu.pwc.enabled=true"]
    missing = ["workload.footprint=256MiB"]
    writing = ["workload.footprint=1MiB", "workload.table_writes_every=50"]
    cycles = {(mode, kind): row(f"mmu={mode}", *common, *more)["cycles"]
              for mode in ("shadow", "nested") for kind, more in (("missing", missing), ("writing", writing))}  # fmt: skip
    assert cycles["shadow", "missing"] < cycles["nested", "missing"]
    assert cycles["shadow", "writing"] > cycles["nested", "writing"]


def test_page_walk_caches_by_hand(tmp_path: Path) -> None:
    """Native: the first walk reads four entries, one that shares the lowest table reads one."""
    got = run(tmp_path, [0, 1, 512, 1 << 18], "mmu=native", "mmu.pwc.enabled=true", "guest.prefault=true")
    assert got["refs_per_walk"] == "1:1 2:1 3:1 4:1"
    assert got["pwc_hits_guest"] == 3


def test_combined_entries_save_host_walks(tmp_path: Path) -> None:
    """Nested: a hit on the guest's PDE says where in host memory the table is; what is left is 1 + the data's host walk."""
    got = run(tmp_path, [0, 1], "mmu=nested", "mmu.pwc.enabled=true", "guest.prefault=true")
    first, second = 24, 2  # the first fills as it goes: each host walk after the first reads one entry
    walks = sorted(int(part.split(":")[0]) for part in str(got["refs_per_walk"]).split())
    assert walks == [2, 4 + 4 + 4]
    assert first > walks[1]
    assert second == walks[0]


@pytest.mark.parametrize("kind", ["none", "pte", "full"])
def test_where_references_go(kind: str, tmp_path: Path) -> None:
    """`none`: memory; `pte`: the caches, data elsewhere; `full`: both."""
    got = run(tmp_path, [0, 1, 0], "mmu=native", "guest.prefault=true", f"cache={kind}")
    refs = got["walk_refs_guest"]
    assert refs == 8
    assert got["walk_refs_in_memory"] == (8 if kind == "none" else 4)
    wanted = {"none": 0, "pte": 8, "full": 11}[kind]
    assert int(got["l1d_cache_hits"]) + int(got["l1d_cache_misses"]) == wanted


def test_five_levels_cost_a_reference_more(tmp_path: Path) -> None:
    """LA57."""
    assert run(tmp_path, [0], "mmu=native", "guest.levels=5", "guest.prefault=true")["refs_per_walk"] == "5:1"


def test_remote_tables_cost_more() -> None:
    """With pages and tables interleaved over two nodes, half of what is read from memory is remote."""
    common = ["mmu=native", "numa=two_socket", "numa/placement=interleave", "workload=uniform", "workload.footprint=64MiB",
              "workload.accesses=60000", "guest.prefault=true", "cache=none"]  # fmt: skip
    got = row(*common)
    assert got["remote_accesses"] / got["accesses"] == pytest.approx(0.5, abs=0.02)
    assert got["walk_refs_in_memory_remote"] > 0
    assert got["slowdown"] > 1


@pytest.mark.parametrize("mode", ["native", "nested", "shadow"])
def test_untagged_page_walk_caches_are_flushed(mode: str) -> None:
    """Without PCIDs (shadow has none) the first walk after each switch of address space starts at the root."""
    common = [f"mmu={mode}", "workload=uniform", "workload.footprint=8MiB", "workload.accesses=20000", "workload.processes=2",
              "workload.switch_every=500", "guest.prefault=true", "cache=none", "guest.page_size=4K"]  # fmt: skip
    tagged, flushed = row(*common), row(*common, "tlb.pcid=false")
    whole = 4 if mode != "nested" else 12  # of the host's entries, which stay, the lowest alone is read for each table
    long = {int(part.split(":")[0]): int(part.split(":")[1]) for part in str(flushed["refs_per_walk"]).split()}
    assert sum(times for length, times in long.items() if length >= whole - 4 * (mode == "nested")) >= 39
    if mode == "shadow":
        assert tagged["refs_per_walk"] == flushed["refs_per_walk"]
    else:
        assert tagged["walk_refs_guest"] < flushed["walk_refs_guest"]
