"""What things cost: a look-up found or not, so that a larger TLB is never the dearer one; what waits; and that nothing is free."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memvirt import memory, tlb, workload
from memvirt.cost import Cpu, price, shown
from memvirt.counters import names_of
from memvirt.pipeline.layout import graph
from memvirt.policy import load, names
from memvirt.result.rows import counters as every_counter
from memvirt.tlb import Tlb
from memvirt.types import GuestEvent, Traits
from tests.support import composed, memory_config, point, row, trace, write_pages

few = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


@few
@given(st.lists(st.integers(0, 40), min_size=1, max_size=300), st.integers(0, 3), st.integers(0, 9), st.integers(1, 24))
def test_more_ways_never_cost_more(pages: list[int], first: int, second: int, walk: int) -> None:
    """At equal sets, of an L2's LRU ways, whatever look-ups and walks take."""
    run = trace(pages)
    machine = memory.run(memory_config(), [run])
    cycles = []
    for ways in range(1, 7):
        sizes = ["tlb.l1_4k.entries=4", "tlb.l1_4k.ways=2", f"tlb.l2.entries={4 * ways}", f"tlb.l2.ways={ways}"]
        takes = [f"tlb.l1_4k.hit_cycles={first}", f"tlb.l2.hit_cycles={second}"]
        config = Tlb.model_validate(composed("tlb=reference", *sizes, *takes)["tlb"])
        found = tlb.run(config, Traits(dimensions=1), [run], machine.space, machine.schedule, machine.shootdowns)
        counts = dict(zip(found.counters.names, found.counters.values.sum(axis=(0, 1)).tolist(), strict=True))
        cycles.append(counts["tlb_lookup_cycles"] + walk * counts["l2_tlb_misses"])
    assert cycles == sorted(cycles, reverse=True)


def test_a_larger_l2_is_cheaper() -> None:
    """4,096 pages, uniform, tables in the L1D: a walk takes 5 cycles, but comes after the L2's 9."""
    common = ["workload=uniform", "workload.footprint=16MiB", "workload.accesses=100000", "mmu=native", "cache=pte",
              "guest.prefault=true", "tlb=skylake"]  # fmt: skip
    small, middle, large = (row(*common, f"tlb.l2.entries={128 * ways}", f"tlb.l2.ways={ways}") for ways in (12, 24, 48))
    assert small["l2_tlb_misses"] > middle["l2_tlb_misses"] > large["l2_tlb_misses"]
    assert small["cycles"] > middle["cycles"] > large["cycles"]
    assert small["tlb_cycles"] == middle["tlb_cycles"] == large["tlb_cycles"]


@pytest.mark.parametrize(("preset", "entries"), [("haswell", 1024), ("skylake", 1536), ("zen3", 2048)])
def test_cost_rises_past_the_reach(preset: str, entries: int, tmp_path: Path) -> None:
    """A random chase with a stride of a page (T13: clocks rise where the L2 TLB's reach is passed; modulo needs whole sets)."""
    cycles = []
    for pages in (entries // 2, entries * 2):
        chase = np.tile(np.random.default_rng(1).permutation(pages), 6)
        path = write_pages(tmp_path / f"{pages}.parquet", chase.tolist())
        got = row("workload=trace", f"workload.path={path}", "workload.warmup=0.5", "mmu=native", "cache=pte", "guest.prefault=true",
                  f"tlb={preset}")  # fmt: skip
        cycles.append(got["cycles"] / got["accesses"])
    assert cycles[0] < cycles[1]


SMALL = ("workload=uniform", "workload.accesses=2500", "mmu=native", "cache=pte", "epoch.accesses=null", "guest.prefault=true")


@pytest.mark.parametrize(("pages", "unmap", "protect"), [(1, 2134, 939), (2048, 310, 60)])
def test_mitosis_table_5(pages: int, unmap: int, protect: int) -> None:
    """What unmapping and protecting take a page, of one page and of 2,048 at once, on one CPU (T14: prices are made of it)."""
    config = Tlb.model_validate(composed("tlb=reference")["tlb"])
    for kind, wanted in ((GuestEvent.UNMAP, unmap), (GuestEvent.TABLE_WRITE, protect)):
        work = trace([*range(2048), 0], events=[(2048, kind, 0, page) for page in range(pages)])
        machine = memory.run(memory_config(overrides=["guest.prefault=true"]), [work])
        found = tlb.run(config, Traits(dimensions=1), [work], machine.space, machine.schedule, machine.shootdowns)
        counts = {name: part.values[:, :, at] for part in (machine.counters, found.counters) for at, name in enumerate(part.names)}
        cycles = price(Cpu.model_validate(composed()["cpu"]), counts)
        spent = (cycles["syscall_cycles"] + cycles["shootdown_cycles"]).sum()
        assert spent / pages == pytest.approx(wanted, abs=1)
        assert counts["tlb_ipis"].sum() == 0


def test_linux_flushes_rather_than_invalidate_many() -> None:
    """33 entries of one call are invalidated one by one, 34 by a flush."""
    for pages, wanted in ((33, (66, 0)), (34, (0, 2))):
        got = row(*SMALL, "workload.footprint=1MiB", "workload.table_writes_every=1000", f"workload.table_write_pages={pages}")
        assert (got["tlb_invlpgs"], got["tlb_batch_flushes"]) == wanted
        assert got["tlb_shootdowns"] == 2 * pages
        assert got["shootdown_cycles"] == 260 * wanted[0] + 96 * wanted[1]


def test_shootdowns_interrupt_the_other_cpus() -> None:
    """Once for all that goes at once; a VM's CPUs, not those of others; dearer for a guest."""
    work = trace([1, 2, 3, 4, 5, 6] * 3, events=[(9, GuestEvent.UNMAP, 0, page) for page in (0, 1, 2)])
    machine = memory.run(memory_config(overrides=["guest.prefault=true"]), [work])
    runs = np.concatenate([machine.schedule.runs[:1]] * 3)
    runs["cpu"], runs["length"], runs["at"] = (0, 1, 2), 6, (0, 6, 12)
    config = Tlb.model_validate(composed("tlb=reference")["tlb"])
    for cpus, others in ((1, 0), (3, 2)):
        schedule = machine.schedule._replace(runs=runs if cpus == 3 else machine.schedule.runs, cpus=cpus)
        found = tlb.run(config, Traits(dimensions=1), [work], machine.space, schedule, machine.shootdowns)
        counts = dict(zip(found.counters.names, found.counters.values.sum(axis=(0, 1)).tolist(), strict=True))
        assert (counts["tlb_shootdowns"], counts["tlb_invlpgs"], counts["tlb_ipis"]) == (3, 3, others)
    cpu = Cpu.model_validate(composed()["cpu"])
    one = {"tlb_ipis": np.ones((1, 1), np.int64)}
    assert price(cpu, one)["cycles"] == cpu.ipi < cpu.ipi_virtual == price(cpu, one, virtual=True)["cycles"]


def test_what_the_host_takes_away_is_invalidated() -> None:
    """By INVEPT, of all of the VM's entries, under nested; by INVLPG under native."""
    common = ["workload=uniform", "workload.accesses=2500", "workload.footprint=512KiB", "overcommit.ratio=1.5", "cache=pte"]
    nested, native = row("mmu=nested", *common), row("mmu=native", *common)
    assert nested["tlb_invepts"] == nested["tlb_flushes"] > 0 == nested["tlb_invlpgs"]
    assert nested["shootdown_cycles"] == 260 * nested["tlb_invepts"]
    assert native["tlb_invlpgs"] == native["tlb_shootdowns"] > 0 == native["tlb_invepts"]
    assert native["shootdown_cycles"] == 260 * native["tlb_invlpgs"]


@pytest.mark.parametrize(("size", "pages"), [("4K", 1), ("2M", 512)])
def test_clearing_takes_as_long_as_a_page_is_large(size: str, pages: int) -> None:
    """Guest and host each clear what they hand out, and each new table."""
    common = ["workload=stream", "workload.accesses=3000", "workload.footprint=8MiB", "cache=pte", f"guest.page_size={size}"]
    page = 4096 / 7.95 * 2.5
    native, nested = row("mmu=native", *common), row("mmu=nested", f"host.page_size={size}", *common)
    tables = native["guest_cleared_pages"] - pages * native["minor_faults"]
    assert tables == (3 + 3 if size == "4K" else 3)  # the three arrays lie below a lowest table each
    assert native["host_cleared_pages"] == 0
    assert native["clearing_cycles"] == pytest.approx(page * native["guest_cleared_pages"])
    fault = native["fault_cycles"] / native["minor_faults"]
    assert fault + page == pytest.approx(2522, rel=0.01)  # Mitosis, table 5: mapping one page (T14); no price comes from that row
    assert nested["guest_cleared_pages"] == native["guest_cleared_pages"]
    assert nested["host_cleared_pages"] - pages * nested["host_minor_faults"] in range(3, 12)
    assert nested["clearing_cycles"] == pytest.approx(page * (nested["guest_cleared_pages"] + nested["host_cleared_pages"]))


def test_a_page_that_was_swapped_is_not_cleared() -> None:
    """It is read instead."""
    got = row("workload=uniform", "workload.accesses=2500", "workload.footprint=512KiB", "overcommit.ratio=1.5", "mmu=native")
    assert got["major_faults"] > 100
    assert got["guest_cleared_pages"] + got["host_cleared_pages"] < got["minor_faults"] + 10


def test_walk_caches_are_paid_for_at_each_look_up() -> None:
    """One a walk, found or not: the caches of all levels are looked up beside each other."""
    got = row(*SMALL, "workload.footprint=256MiB", "cpu.pwc=3", "workload.dependence=1")
    refs = sum(got[f"walk_refs_in_{place}"] * each for place, each in (("l1d", 4), ("l2", 14), ("llc", 54), ("memory", 200)))
    assert got["pwc_hits_guest"] < got["pwc_lookups_guest"] == got["walks"]
    assert got["walk_cycles"] == refs + 3 * got["walks"]


def test_what_depends_waits() -> None:
    """A pointer chase for all of its walks and data, GUPS for what can't go on at once; unknown programs as the CPU's preset says."""
    assert [shown(4, share) for share in (0.0, 0.5, 1.0)] == [0.25, 0.625, 1.0]
    work = {name: point(f"workload={name}").workload for name in ("pointer_chase", "gups", "sqlite")}
    assert [workload.dependence(each) for each in work.values()] == [1.0, 0.0, None]
    cpu = Cpu.model_validate(composed("cpu=generic")["cpu"])
    counts = {"walk_refs_in_memory": np.full((3, 1), 10), "data_refs_in_memory": np.full((3, 1), 10)}
    got = price(cpu, counts, [1.0, 0.0, None])
    assert got["walk_pending_cycles"].ravel().tolist() == [2000.0] * 3
    assert got["walk_cycles"].ravel().tolist() == [2000.0, 1000.0, 1500.0]
    assert got["data_cycles"].ravel() == pytest.approx([1960.0, 1960.0 / 12, 1960.0 * (0.5 + 0.5 / 12)])


def test_each_vm_has_its_own_dependence() -> None:
    """Of its own program, not of the point's; and it changes no trace."""
    members = "vms.members=[{workload: pointer_chase}, {}, {workload: {dependence: 0.25}}]"
    layout = graph(point("workload=gups", "workload.accesses=1000", "workload.footprint=1MiB", members))
    (own,) = [stage.config.value["dependence"] for stage in layout if stage.room == "cost" and len(stage.inputs[0].inputs) == 3]
    assert own == [1.0, 0.0, 0.25]
    once = graph(point("workload=gups", "vms.count=3"))
    assert {tuple(stage.config.value["dependence"]) for stage in once if stage.room == "cost"} == {(0.0,)}
    keys = [graph(point("workload=sqlite", f"workload.dependence={share}"))[0].config.digest for share in (0, 1)]
    assert keys[0] == keys[1]


def test_options_of_workloads_agree_with_their_files() -> None:
    """The YAML file of a generator says what its Python file does."""
    for name in names("workload.synthetic"):
        stated = getattr(load("workload.synthetic", name), "DEPENDENCE", None)
        assert composed(f"workload={name}")["workload"]["dependence"] == stated, name


MODEL = Path(__file__).parents[1] / "docs" / "model.md"


def without_a_price() -> list[str]:
    """Counters that docs/model.md says have no price, and why; ``*`` stands for any ending."""
    table = MODEL.read_text().split("## What has no price")[1].split("\n## ")[0]
    cells = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    assert all(len(each) == 4 and each[2].strip() for each in cells)
    return [name for each in cells for name in re.findall(r"`([^`]+)`", each[1])]


def test_everything_counted_is_priced() -> None:
    """Or docs/model.md says why it isn't; and what it says has no price has none, and is counted."""
    cpu = Cpu.model_validate({**composed()["cpu"], "invept": 1000})  # a price that another's equals would show as none
    counters = {*names_of(every_counter())}
    every = {name: np.zeros((1, 1), np.int64) for name in counters}
    priced = {
        name for name in counters if any(cycles.any() for cycles in price(cpu, {**every, name: np.ones((1, 1), np.int64)}).values())
    }
    excused = without_a_price()
    unpriced = {name for pattern in excused for name in fnmatch.filter(counters, pattern)}
    assert counters - priced - unpriced == set()
    assert priced & unpriced == set()
    assert [pattern for pattern in excused if not fnmatch.filter(counters, pattern)] == []
