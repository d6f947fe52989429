"""Hierarchies that aren't plain, against a plain restatement and by hand; and for each trait, what goes wrong without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memvirt import memory, mmu, tlb
from memvirt.mmu import Mmu
from memvirt.policy import load
from memvirt.tlb import Tlb
from memvirt.tlb.misses import unpack
from memvirt.tlb.replacement import fill, touch, victim
from memvirt.types import EVERY_SPACE, GuestEvent, Mapped, Segment, Traits
from tests.naive import NaiveHierarchy
from tests.support import composed, memory_config, row, rows, trace, write_pages
from tests.test_naive import LOOK_UPS

few = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def look_up(run: Any, traits: Traits, *overrides: str, machine: Any = None) -> tuple[list[int], dict[str, int]]:
    """Places that must be walked for, and counts."""
    config = Tlb.model_validate(composed("tlb=reference", *overrides)["tlb"])
    machine = machine or memory.run(memory_config(), [run])
    walks = tlb.run(config, traits, [run], machine.space, machine.schedule, machine.shootdowns)
    counts = dict(zip(walks.counters.names, walks.counters.values.sum(axis=(0, 1)).tolist(), strict=True))
    return unpack(walks.offsets[0]).tolist(), counts


@pytest.mark.parametrize("inclusion", ["neither", "inclusive", "exclusive"])
@pytest.mark.parametrize("dirty", ["none", "walk"])
@few
@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=1, max_size=400))
def test_against_plain_restatement(inclusion: str, dirty: str, work: list[tuple[int, bool]]) -> None:
    """Every walk, hit and first write of two small levels."""
    sizes = ["tlb.l1_4k.entries=8", "tlb.l1_4k.ways=2", "tlb.l2.entries=12", "tlb.l2.ways=3", f"tlb.inclusion={inclusion}"]
    sizes += LOOK_UPS
    run = trace([page for page, _ in work], [write for _, write in work])
    found, counts = look_up(run, Traits(dimensions=1, dirty=dirty), *sizes)
    naive = NaiveHierarchy((8, 2), (12, 3), inclusion, dirty == "walk", (1, 5))
    assert found == [place for place, (page, write) in enumerate(work) if naive.access(page, write)]
    wanted = (naive.l1_misses, naive.l2_misses, naive.dirty_walks, naive.cycles)
    assert tuple(counts[name] for name in ("l1_tlb_misses", "l2_tlb_misses", "dirty_walks", "tlb_lookup_cycles")) == wanted


def test_general_is_plain_where_nothing_is_asked_of_it() -> None:
    """The general loop on a hierarchy that needs none of it (its dirty bits never matter: all accesses are reads)."""
    pages = np.random.default_rng(2).integers(0, 3000, 60_000).tolist()
    for preset in ("skylake", "zen4", "icelake"):
        run = trace(pages)
        machine = memory.run(memory_config(overrides=["guest.page_size=thp", "guest.thp_fill=0.9"]), [run])
        config = Tlb.model_validate(composed(f"tlb={preset}")["tlb"])
        parts = ([run], machine.space, machine.schedule, machine.shootdowns)
        plain, general = (tlb.run(config, Traits(dimensions=1, dirty=dirty), *parts) for dirty in ("none", "walk"))
        assert (unpack(plain.offsets[0]) == unpack(general.offsets[0])).all()
        names = list(plain.counters.names)
        ours, theirs = plain.counters.values[0].sum(axis=0), general.counters.values[0].sum(axis=0)
        assert ours.tolist() == theirs.tolist(), names


def test_an_exclusive_hierarchy_holds_more() -> None:
    """8 + 8 fully associative entries: a cycle of 12 pages fits when no entry is in both."""
    sizes = ["tlb.l1_4k.entries=8", "tlb.l1_4k.ways=full", "tlb.l2.entries=8", "tlb.l2.ways=full"]
    run = trace(list(range(12)) * 10)
    for inclusion, misses in (("exclusive", 12), ("neither", 120), ("inclusive", 120)):
        assert look_up(run, Traits(dimensions=1), *sizes, f"tlb.inclusion={inclusion}")[1]["l2_tlb_misses"] == misses


def test_inclusion_takes_out_of_the_first() -> None:
    """0 stays hot in the L1, so the L2 forgets it; an inclusive L2 takes it along."""
    sizes = ["tlb.l1_4k.entries=4", "tlb.l1_4k.ways=full", "tlb.l2.entries=4", "tlb.l2.ways=full"]
    run = trace([0, 1, 0, 2, 0, 3, 0, 4, 0])
    assert look_up(run, Traits(dimensions=1), *sizes)[0] == [0, 1, 3, 5, 7]
    assert look_up(run, Traits(dimensions=1), *sizes, "tlb.inclusion=inclusive")[0] == [0, 1, 3, 5, 7, 8]


def test_dirty_bits_by_hand(tmp_path: Path) -> None:
    """A read loads a clean entry, so the first write walks; a write loads a dirty one; a rewritten entry is clean again."""
    run = trace([1, 1, 1, 2, 2], [False, True, True, True, False], [(4, GuestEvent.TABLE_WRITE, 0, 1)])
    found, counts = look_up(run, Traits(dimensions=1, dirty="walk"))
    assert found == [0, 1, 3, 4]
    assert counts["dirty_walks"] == 1
    path = write_pages(tmp_path / "t.parquet", [1, 1, 1, 2, 2], writes=[False, True, True, True, False])
    common = ["workload=trace", f"workload.path={path}", "guest.prefault=true"]
    native, shadow = (row(f"mmu={mode}", "mmu.ad_bits=true", *common) for mode in ("native", "shadow"))
    # accessed at 0, dirty at 1, both at once at 3; a hypervisor sets them itself, but for the write that it protects from
    assert (native["ad_updates_guest"], native["dirty_walks"], native["vm_exits"]) == (3, 1, 0)
    assert (shadow["ad_updates_guest"], shadow["dirty_walks"], shadow["vm_exits_write_protect"]) == (0, 1, 1)
    assert shadow["walks"] == native["walks"] + 1  # the one that ran into the protection
    assert shadow["faulting_walks"] == 1
    without = row("mmu=native", *common)
    assert (without["walks"], without["dirty_walks"]) == (2, 0)


def test_hosts_without_dirty_bits_protect() -> None:
    """A page that was swapped in to be read is protected where the host's entries have no dirty bit: the first write exits."""
    common = [
        "mmu=nested",
        "mmu.ad_bits=true",
        "workload=zipf",
        "workload.footprint=4MiB",
        "workload.accesses=20000",
        "overcommit.ratio=1.5",
    ]
    with_ad, without = row(*common), row(*common, "mmu.host_ad=false")
    assert with_ad["vm_exits_write_protect"] == 0 < with_ad["ad_updates_host"]
    assert without["ad_updates_host"] == 0
    assert 0 < without["vm_exits_write_protect"] <= without["major_faults"]


@pytest.mark.parametrize("coalesce", [1, 2, 4, 8])
def test_coalesced_entries_by_hand(coalesce: int, tmp_path: Path) -> None:
    """Frames are handed out in order of first touch, so pages touched in order are neighbours, and one walk serves a group."""
    path = write_pages(tmp_path / "t.parquet", [*range(512, 1024), *range(512, 1024)])
    common = ["workload=trace", f"workload.path={path}", "mmu=native", "guest.prefault=true", "tlb=skylake"]
    got = row(*common, f"tlb.coalesce={coalesce}")
    assert got["l2_tlb_misses"] == 512 // coalesce
    assert got["slowdown"] == 1.0
    back = write_pages(tmp_path / "b.parquet", [*range(1023, 511, -1), *range(512, 1024)])
    assert row(*common, f"workload.path={back}", f"tlb.coalesce={coalesce}")["l2_tlb_misses"] == 512  # none run on upwards


def test_coalescing_through_two_dimensions() -> None:
    """Where host frames are neighbours as well; a host that puts pages on two nodes in turn leaves nothing to coalesce."""
    common = [
        "workload=stream",
        "workload.footprint=8MiB",
        "workload.accesses=400000",
        "mmu=nested",
        "guest.prefault=all",
        "tlb.coalesce=8",
    ]
    near = row(*common)
    assert near["l2_tlb_misses"] < row(*common, "tlb.coalesce=1")["l2_tlb_misses"] / 6
    assert near["walks"] == near["l2_tlb_misses"]


@pytest.mark.parametrize(("everything", "again"), [(False, 1), (True, 2)])
def test_guest_flushes(everything: bool, again: int) -> None:
    """A single-context flush spares the other address space, one of all contexts doesn't."""
    from memvirt.types import Accesses, Pages, Trace

    pages = Pages(np.array([5, 5], np.uint64), np.array([0, 1], np.uint16))
    zeros = np.zeros(6, np.uint8)
    order = np.array([0, 1, 0, 1, 0, 1], np.uint32)
    events = np.zeros(6, memory.Machine and np.dtype([("at", "<u8"), ("kind", "u1"), ("asid", "<u2"), ("page", "<u4")]))
    for place, at in enumerate([1, 2, 3, 4, 5]):
        events[place] = (at, GuestEvent.SWITCH, at % 2, 0)
    events[5] = (4, GuestEvent.FLUSH, EVERY_SPACE if everything else 0, 0)
    events = events[np.argsort(events["at"], kind="stable")]
    run = Trace(pages, 6, events, [Accesses(order, zeros, np.ones(6, np.uint8))])
    found, counts = look_up(run, Traits(dimensions=1))
    assert len(found) == 2 + again
    assert counts["tlb_flushes"] == 1


def test_srrip_by_hand() -> None:
    """Four new entries expected back late (2): all are aged to 3, the lowest goes; a used one stays longest."""
    state = load("tlb.replacement", "srrip").make(4, [4], 1)
    for way in range(4):
        fill(state, 0, 4, way)
    assert int(victim(state, 0, 4)) == 0
    fill(state, 0, 4, 0)
    touch(state, 0, 4, 1)
    assert [int(each) for each in state.expected] == [2, 0, 3, 3]
    assert int(victim(state, 0, 4)) == 2


def test_mru_plru_by_hand() -> None:
    """Twelve ways: the group after the last used one, and in it what a tree of four says."""
    state = load("tlb.replacement", "mru_plru").make(12, [12], 1)
    for way in range(12):
        fill(state, 0, 12, way)
    assert int(victim(state, 0, 12)) == 0  # group 2 was last, so group 0, whose tree points at way 0
    touch(state, 0, 12, 0)
    assert int(victim(state, 0, 12)) == 4
    touch(state, 0, 12, 4)
    assert int(victim(state, 0, 12)) == 8
    touch(state, 0, 12, 8)
    assert int(victim(state, 0, 12)) == 2  # of 0 … 3 the half without way 0


def test_hashed_index_by_hand() -> None:
    """128 sets, 7 and 7 bits: pages 0 and 129·1 = 0b1_0000001 share set 0 under xor, not under modulo."""
    from memvirt.tlb.config import Array
    from memvirt.tlb.geometry import set_index

    array = Array(level=2, page_sizes=["4K"], entries=1536, ways=12)
    numbers = np.array([0, 1 << 7 | 1, 3 << 7 | 5, 1 << 14 | 9], np.uint64)
    assert set_index(numbers, array, "xor").tolist() == [0, 0, 6, 9]
    assert set_index(numbers, array, "modulo").tolist() == [0, 1, 5, 9]
    got = [row("workload=uniform", "workload.accesses=20000", "mmu=native", *more)["l1_tlb_misses"]
           for more in ([], ["tlb.l2.index=xor"], ["tlb.index=xor"])]  # fmt: skip
    assert got[0] == got[1]  # the L2's hash alone


# What each trait is for: with another value, counts are wrong.


def test_trait_entry_size() -> None:
    """2M guest pages over 4K host pages: entries are of 4K; taken for the guest's size they would hit where hardware misses."""
    pages = list(range(0, 512, 8)) * 4
    run = trace(pages)
    machine = memory.run(memory_config(dimensions=2, overrides=["guest.page_size=2M"]), [run])
    small = ["tlb.l1_4k.entries=4", "tlb.l2.entries=12", "tlb.l2.ways=12"]
    right = look_up(run, mmu.traits(Mmu(name="nested")), *small, machine=machine)[0]
    wrong = look_up(run, Traits(entry_size="guest"), *small, machine=machine)[0]
    assert len(right) == len(pages)
    assert len(wrong) == 1


def test_trait_flush_on_switch() -> None:
    """Shadow roots have no PCID: without the flush, entries would outlive a switch."""
    common = ["workload=uniform", "workload.footprint=64KiB", "workload.accesses=2000", "workload.processes=2", "workload.switch_every=100",
              "guest.prefault=true"]  # fmt: skip
    shadow, nested = row("mmu=shadow", *common), row("mmu=nested", *common)
    assert nested["l2_tlb_misses"] == 32  # each page once
    assert shadow["l2_tlb_misses"] > 200
    assert shadow["tlb_flushes"] == 19
    assert mmu.traits(Mmu(name="shadow")).flush_on_switch


def test_trait_host_unmap() -> None:
    """Under EPT the host can't name the page that it takes: all of the VM's combined entries go."""
    run = trace([1, 9, 2, 9, 1])
    machine = memory.run(memory_config(overrides=["overcommit.host_memory=8KiB", "reclaim/replacement=fifo"]), [run])
    assert len(look_up(run, mmu.traits(Mmu(name="nested")), machine=machine)[0]) == 5
    assert len(look_up(run, mmu.traits(Mmu(name="native")), machine=machine)[0]) == 4


def test_trait_dimensions() -> None:
    """Native VMs are processes of the host: with a host dimension their tables would need backing, and their first touch two faults."""
    common = ["workload=uniform", "workload.footprint=1MiB", "workload.accesses=2000"]
    native, nested = row("mmu=native", *common), row("mmu=nested", *common)
    assert native["host_minor_faults"] == 0 < nested["host_minor_faults"]
    assert mmu.traits(Mmu(name="native")).dimensions == 1


def test_trait_dirty() -> None:
    """Without it no walk would set a dirty bit of an entry that a read has loaded."""
    run = trace([3, 3], [False, True])
    assert look_up(run, mmu.traits(Mmu(name="native", ad_bits=True)))[0] == [0, 1]
    assert look_up(run, mmu.traits(Mmu(name="native")))[0] == [0]


def test_trait_bypass() -> None:
    """Without it, pages of a dual direct segment would take TLB entries and push others out."""
    run = trace(list(range(40)) * 3)
    small = ["tlb.l1_4k.entries=4", "tlb.l2.entries=12", "tlb.l2.ways=12"]
    assert look_up(run, mmu.traits(Mmu(name="direct_segment")), *small)[1]["l1_tlb_misses"] == 0
    assert look_up(run, Traits(bypass=Segment(0.5, 0.0, 256, 4, 0)), *small)[1]["l1_tlb_misses"] == 60
    assert look_up(run, Traits(), *small)[1]["l1_tlb_misses"] == 120


def test_trait_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Agile paging's switches flush what they move: looked up beforehand, the TLBs would know nothing of it."""
    common = ["workload=uniform", "workload.footprint=8MiB", "workload.accesses=60000", "workload.table_writes_every=3000", "mmu=agile",
              "mmu.policy=costs",
              "guest.prefault=true"]  # fmt: skip
    right = row(*common)
    assert right["vm_exits_mode_switch"] > 0
    module = load("mmu.mode", "agile")
    monkeypatch.setattr(module, "TRAITS", module.TRAITS._replace(fused=False))
    wrong = row(*common)
    assert wrong["l2_tlb_misses"] < right["l2_tlb_misses"]
    assert right["tlb_flushes"] > wrong["tlb_flushes"] == 0
    assert right["tlb_flushes"] <= (right["vm_exits_mode_switch"] + 1) // 2  # on each return


def test_fused_is_unfused() -> None:
    """Where a mode asks for no flush and nothing is coalesced, one kernel counts what two do."""
    from memvirt.mmu import Cache, fused
    from memvirt.pipeline import compute
    from tests.support import point

    for overrides in (
        ["mmu=nested", "overcommit.ratio=1.4", "vms.count=2", "workload=zipf", "workload.footprint=8MiB", "workload.accesses=30000"],
        ["mmu=shadow", "workload=zipf", "workload.processes=2", "workload.table_writes_every=50", "workload.accesses=30000",
         "workload.remap_every=500", "workload.fork_every=9000", "mmu.ad_bits=true", "tlb.inclusion=exclusive"],
    ):  # fmt: skip
        from memvirt.pipeline.layout import graph

        done: list[dict[str, Any]] = []
        for stage in graph(point(*overrides)):
            inputs = [
                {name: done[each.number][name] for name in fields} for each, fields in zip(stage.inputs, stage.reads, strict=True)
            ]
            done.append(compute.compute(stage.room, stage.config.value, inputs)[0])
            if stage.room == "mmu" and stage.config.value["mmu"]["name"] != "native":
                *needs, machine, _ = (done[each.number] for each in stage.inputs)
                tlb_counters = done[stage.inputs[-1].number]["counters"]
                config = stage.inputs[-1].config.value["tlb"]
                out = fused.run(Tlb.model_validate(config), Mmu.model_validate(stage.config.value["mmu"]),
                                Cache.model_validate(stage.config.value["cache"]), [each["trace"] for each in needs],
                                Mapped(**{name: machine[name] for name in Mapped._fields}))  # fmt: skip
                both = np.concatenate([tlb_counters.values, done[-1]["counters"].values], axis=2)
                assert (out.counters.values == both).all()
                assert (out.levels == done[-1]["levels"]).all()
                break
        else:
            raise AssertionError("no such stage")


def test_results_of_several_vms_in_fused_stages() -> None:
    """Rows of every VM, and a baseline that is fused too where entries are coalesced."""
    got = rows("mmu=agile", "vms.count=3", "tlb.coalesce=4", "workload=zipf", "workload.accesses=8000", "workload.footprint=2MiB")
    assert [each["vm"] for each in got] == [0, 1, 2]
    for each in got:
        assert each["walks"] == each["l2_tlb_misses"] + each["faulting_walks"] + each["dirty_walks"]
