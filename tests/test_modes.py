"""Every translation mode against what its paper counts, and against the modes that it must agree with."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memvirt import memory, mmu, tlb
from memvirt.mmu import Cache, Mmu
from memvirt.mmu.mode.dmt import largest_mappings
from memvirt.tlb import Tlb
from tests.support import composed, row, trace, write_pages
from tests.test_naive import memory_config

few = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
PLAIN = ("mmu.pwc.enabled=false", "guest.prefault=true", "workload=uniform", "workload.accesses=3000", "workload.footprint=64MiB",
         "cache=none", "tlb=skylake")  # fmt: skip
DEPTH = {"4K": 0, "2M": 1, "1G": 2}


def lengths(got: dict[str, Any]) -> dict[int, int]:
    """Walks by their references."""
    return {int(part.split(":")[0]): int(part.split(":")[1]) for part in str(got["refs_per_walk"]).split()}


#: References of a whole walk, as the papers have them, from the levels of guest and host that are left after page sizes.
LAWS: dict[str, Any] = {
    "native": lambda g, h: g,
    "shadow": lambda g, h: g,
    "paravirt": lambda g, h: g,
    "nested": lambda g, h: (g + 1) * (h + 1) - 1,
    "flat_nested": lambda g, h: (g + 1) * 2 - 1,
    "nested2": lambda g, h: (g + 1) * (h + 1) - 1,
    "nested2 mmu.walk=three_dimensional": lambda g, h: (g + 1) * (h + 1) ** 2 - 1,
}


@pytest.mark.parametrize("mode", LAWS)
@pytest.mark.parametrize(("guest", "host", "levels"), [("4K", "4K", (4, 4)), ("2M", "2M", (4, 4)), ("4K", "2M", (4, 4)), ("2M", "4K", (4, 4)),
                                                       ("1G", "1G", (4, 4)), ("4K", "1G", (5, 4)), ("4K", "4K", (5, 5)), ("4K", "4K", (4, 5))])  # fmt: skip
def test_whole_walks(mode: str, guest: str, host: str, levels: tuple[int, int]) -> None:
    """Without page-walk caches."""
    if mode == "shadow" and DEPTH[host] < DEPTH[guest]:
        pytest.skip("shadow entries are as small as the smaller page")
    got = row(*PLAIN, *f"mmu={mode}".split(), f"guest.page_size={guest}", f"host.page_size={host}",
              f"guest.levels={levels[0]}", f"host.levels={levels[1]}")  # fmt: skip
    wanted = LAWS[mode](levels[0] - DEPTH[guest], levels[1] - DEPTH[host])
    assert lengths(got) == {wanted: got["walks"]}
    assert got["walks"] > 0


@pytest.mark.parametrize(
    ("overrides", "refs", "steps"),
    [
        (["mmu=nested2"], 24, 24),
        (["mmu=nested2", "mmu.walk=three_dimensional"], 124, 124),
        (["mmu=flattened"], 8, 8),
        (["mmu=flattened", "mmu.flatten=guest"], 14, 14),
        (["mmu=flattened", "mmu.flatten=host"], 14, 14),
        (["mmu=flattened", "host.levels=0"], 2, 2),
        (["mmu=flattened", "guest.page_size=2M", "host.page_size=2M"], 8, 8),
        (["mmu=dmt"], 3, 3),
        (["mmu=dmt", "mmu.paravirtual=true"], 2, 2),
        (["mmu=dmt", "host.levels=0"], 1, 1),
        (["mmu=dmt", "mmu.registers=0"], 24, 24),
        (["mmu=ecpt"], 9 * 9 + 9 + 9, 3),
        (["mmu=ecpt", "mmu.ways=2"], 6 * 6 + 6 + 6, 3),
        (["mmu=ecpt", "host.levels=0"], 9, 1),
        (["mmu=direct_segment", "mmu.segments=vmm"], 4, 4),
        (["mmu=direct_segment", "mmu.segments=guest"], 4, 4),
        *[(["mmu=agile", "mmu.policy=static", f"mmu.nested_levels={n}"], 4 + 4 * n, 4 + 4 * n) for n in range(5)],
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_papers_counts(overrides: list[str], refs: int, steps: int) -> None:
    """References of a walk, and how many of them come one after the other."""
    got = row(*PLAIN, *overrides)
    assert lengths(got) == {refs: got["walks"]}
    assert got["walk_steps"] == steps * got["walks"] > 0
    assert got["cycles_per_walk_p50"] == got["cycles_per_walk_p99"] == 200 * steps
    assert got["walk_pending_cycles"] == 200 * steps * got["walks"]


def test_dual_direct_segments_need_no_walk() -> None:
    """Nor a TLB; a page that must escape, and one that the filter takes for it, walk in two dimensions."""
    got = row(*PLAIN, "mmu=direct_segment")
    assert (got["l1_tlb_misses"], got["walks"]) == (0, 0)
    some = row(*PLAIN, "mmu=direct_segment", "mmu.share=0.5")
    assert lengths(some) == {4: some["walks"]}  # the host's segment covers all: a VMM direct walk
    assert some["l1_tlb_misses"] == pytest.approx(1500, rel=0.1)
    bad = row(*PLAIN, "mmu=direct_segment", "mmu.bad=0.0004", "workload.accesses=200000")
    assert set(lengths(bad)) <= {4, 8, 12, 16, 20, 24}
    assert 0 < bad["walks"] < 200000 * 0.02
    full = row(*PLAIN, "mmu=direct_segment", "mmu.bad=0.1", "mmu.filter_bits=64")
    assert lengths(full) == {24: full["walks"]}  # so small a filter takes every page for a bad one


def test_escape_filter_false_positives() -> None:
    """16 bad pages, 4 hashes over 256 bits: (1 - e^(-4·16/256))^4 = 0.24 % of good pages are caught as well."""
    from memvirt.tlb.segment import escapes
    from memvirt.types import Segment

    numbers = np.arange(2_000_000, dtype=np.uint64)
    share = 16 / numbers.size
    caught = [escapes(Segment(1.0, share, 256, 4, seed), numbers) for seed in range(12)]
    fractions = np.array([(each.mean(), 256) for each in caught])[:, 0]
    assert fractions.mean() == pytest.approx((1 - np.exp(-64 / 256)) ** 4, rel=0.35)


def test_pom_tlb_hits_cost_one_reference() -> None:
    """Each page's first walk is 1 + 24, later ones 1."""
    got = row(*PLAIN, "mmu=pom_tlb", "workload.accesses=60000")
    pages = 64 << 8
    assert lengths(got)[1] == got["pom_tlb_hits"] > 0
    assert lengths(got)[25] <= pages
    assert set(lengths(got)) == {1, 25}


def test_ecpt_needs_one_probe_where_size_and_way_are_known() -> None:
    """With cuckoo walk caches warm, one size is probed: 3 x 3 + 3 + 3 probes in three steps."""
    got = row(*PLAIN, "mmu=ecpt", "mmu.pwc.enabled=true", "workload.footprint=16MiB", "workload.accesses=60000")
    most = max(lengths(got).items(), key=lambda each: each[1])[0]
    assert most == 15
    assert got["walk_steps"] == 3 * got["walks"]


def test_dmt_registers_go_to_the_largest_mappings() -> None:
    """Of three ranges of pages the two largest are served directly."""
    pages = [*range(1000, 1010), *range(5000, 5500), *range(9000, 9400)]

    class Stub:
        class port:
            vpn = np.array(pages)
            space_of_page = np.zeros(len(pages), np.int64)

    covered = largest_mappings(Stub, 2, 512)  # type: ignore[arg-type]
    assert covered.tolist() == [0] * 10 + [1] * 900
    assert largest_mappings(Stub, 1, 5000).tolist() == [1] * 910  # type: ignore[arg-type]


WALK_COUNTERS = ("walks", "faulting_walks", "walk_refs_guest", "walk_refs_host", "walk_refs_in_l1d", "walk_refs_in_l2", "walk_refs_in_llc",
                 "walk_refs_in_memory", "pwc_hits_guest", "walk_steps", "l1d_cache_hits", "l2_cache_hits", "llc_hits", "vm_exits")  # fmt: skip
accesses = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 63)), min_size=1, max_size=300)
SMALL_CACHES = {"l1d": {"size": "1KiB", "ways": 4}, "l2": {"size": "2KiB", "ways": 2}, "llc": {"size": "8KiB", "ways": 16}}


@pytest.mark.parametrize("rule", ["combined", "entries"])
@few
@given(accesses)
def test_shadow_with_tables_in_the_same_frames_is_native(rule: str, work: list[tuple[int, int]]) -> None:
    """Nothing is written, everything is mapped, and each shadow table stands where the native one does: every counter of walks."""
    run = trace([page // 5 * 5 for page, _ in work])
    machine = memory.run(memory_config(overrides=["guest.prefault=true"]), [run])
    config = Tlb.model_validate(composed("tlb=reference", "tlb.l1_4k.entries=8", "tlb.l2.entries=24", "tlb.l2.ways=3")["tlb"])
    parts = (machine.space, machine.schedule, machine.frames, machine.nodes)
    walks = tlb.run(config, mmu.traits(Mmu(name="native")), [run], machine.space, machine.schedule, machine.shootdowns)
    pwc = {"rule": rule}
    found = {}
    for name in ("native", "shadow"):
        state, port = mmu.start(Mmu(name=name, pwc=pwc), Cache(name="full", **SMALL_CACHES), *parts, True, True)
        if name == "shadow":
            own, shadow = machine.frames.guest.frames, state.shadow
            shadow.hfn[shadow.table.ravel()] = own.ravel()
        out = mmu.drive(state, port, [run], *parts, walks.offsets)
        found[name] = dict(zip(out.counters.names, out.counters.values.sum(axis=(0, 1)).tolist(), strict=True))
        found[name]["levels"] = out.levels.tolist()
    assert found["native"] == found["shadow"]
    assert found["native"]["walks"] > 0


@pytest.mark.parametrize("mode", ["nested", "nested2", "flat_nested", "pom_tlb"])
def test_modes_share_the_data_layout(mode: str) -> None:
    """A mode can't change where data is: the memory room's counts are the same under all of two dimensions."""
    common = ["workload=zipf", "workload.accesses=20000", "workload.footprint=8MiB", "overcommit.ratio=1.3", "vms.count=2"]
    names = ("minor_faults", "host_minor_faults", "major_faults", "swap_out_pages", "resident_pages", "stall_ns", "remote_accesses")
    first, other = row_of_first("mmu=nested", *common), row_of_first(f"mmu={mode}", *common)
    assert {name: first[name] for name in names} == {name: other[name] for name in names}


def row_of_first(*overrides: str) -> dict[str, Any]:
    """Row of the first VM."""
    from tests.support import rows

    return rows(*overrides)[0]


@few
@given(accesses, st.booleans(), st.sampled_from(["combined", "entries"]), st.booleans())
def test_nested_over_an_identity_host_is_native(work: list[tuple[int, int]], pwc: bool, rule: str, prefault: bool) -> None:
    """host.levels=0 equals native on every counter, random traces, faults included."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_pages(Path(folder) / "t.parquet", [page // 3 * 3 for page, _ in work], [line for _, line in work])
        common = [f"workload.path={path}", "workload=trace", f"mmu.pwc.enabled={str(pwc).lower()}", f"mmu.pwc.rule={rule}", "cache=full",
                  f"guest.prefault={str(prefault).lower()}"]  # fmt: skip
        native, nested = row("mmu=native", *common), row("mmu=nested", "host.levels=0", *common)
    assert {name: value for name, value in native.items() if native[name] == native[name]} == {
        name: value for name, value in nested.items() if nested[name] == nested[name]
    }


EXIT, REFERENCE = 3050.0, 50.0


def spent(got: dict[str, Any]) -> float:
    """What a mode costs: exits and references, priced as `mmu/agile.yaml` weighs them, 61 references an exit."""
    return float(EXIT * got["vm_exits"] + REFERENCE * (got["walk_refs_guest"] + got["walk_refs_host"]))


@settings(few, max_examples=10)
@given(
    st.integers(0, 3),
    st.sampled_from([0, 40, 200, 1000, 5000]),
    st.sampled_from([1, 8, 64]),
    st.sampled_from([1, 4, 32]),
    st.sampled_from([0, 3000]),
)
def test_agile_is_no_worse_than_either(seed: int, every: int, pages: int, mib: int, remap: int) -> None:
    """Agile costs at most the better of shadow and nested, plus what its switches cost, plus as much again for each and once for each table."""
    common = ["workload=phases", "workload.accesses=60000", f"workload.footprint={mib}MiB", "workload.phase_accesses=15000", f"workload.seed={seed}",
              f"workload.table_writes_every={every}", f"workload.table_write_pages={pages}", f"workload.remap_every={remap}",
              "guest.prefault=true", "cache=none", "mmu.pwc.enabled=false"]  # fmt: skip
    agile, shadow, nested = (row(*words, *common) for words in (["mmu=agile", "mmu.policy=costs"], ["mmu=shadow"], ["mmu=nested"]))
    switches = agile["vm_exits_mode_switch"]
    tables = mib // 2 + 3
    # switch_worth or return_worth, and the write (with its INVLPG and fault) or the walk that overshoots it
    there, back = 60 * REFERENCE + 4 * EXIT, (300 + 24) * REFERENCE
    flushed = agile["l2_tlb_misses"] - max(shadow["l2_tlb_misses"], nested["l2_tlb_misses"])  # missed again after a return's flush
    switching = switches * EXIT + (switches + 1) // 2 * (there + back) + max(flushed, 0) * 8 * REFERENCE
    assert spent(agile) <= min(spent(shadow), spent(nested)) + switching + tables * (there + back)
    if every == 0 and remap == 0:
        assert switches == 0
        assert agile["walk_refs_host"] == 0


def test_agile_beats_both_on_mixed_work() -> None:
    """Some tables are written all the time, the others are only walked (T9)."""
    common = ["workload=uniform", "workload.accesses=200000", "workload.footprint=128MiB", "workload.table_writes_every=50", "guest.prefault=true",
              "mmu.pwc.enabled=false", "workload.table_write_share=0.05"]  # fmt: skip
    agile, shadow, nested = (row(f"mmu={mode}", *common) for mode in ("agile", "shadow", "nested"))
    assert agile["cycles"] < shadow["cycles"]
    assert agile["cycles"] < nested["cycles"]


def test_agile_follows_the_papers_policy() -> None:
    """The second write within an interval moves a table to nested, a scan after an interval without one moves it back."""
    common = ["workload=uniform", "workload.footprint=2MiB", "workload.accesses=40000", "guest.prefault=true", "mmu=agile",
              "mmu.interval=5000", "tlb.l2.entries=12", "tlb.l2.ways=12"]  # fmt: skip
    busy = row(*common, "workload.table_writes_every=100")
    assert busy["vm_exits_page_table_write"] == 2
    assert busy["vm_exits_mode_switch"] == 1
    calm = row(*common, "workload.table_writes_every=15000")  # never two in one interval
    assert calm["vm_exits_mode_switch"] == 0
    assert calm["vm_exits_page_table_write"] == 2
    both = row(*common, "workload.table_writes_every=16000", "workload.table_write_pages=4")
    assert both["vm_exits_page_table_write"] == 4  # two of the four at 16,000, and at 32,000
    assert both["vm_exits_mode_switch"] == 3  # there, back at 25,000 (the interval to 20,000 has writes, the next has none), there
    assert both["resyncs"] == both["tlb_flushes"] == 1
    one_second = row(*common, "workload.table_writes_every=16000", "workload.table_write_pages=4", "mmu.interval=1000000000")
    assert (one_second["vm_exits_page_table_write"], one_second["vm_exits_mode_switch"]) == (2, 1)


FOLDED = [*WALK_COUNTERS, "pwc_hits_host", "nested_tlb_hits", "cycles"]


def test_nested2_walks_as_nested() -> None:
    """EPT02 is walked as any host's tables are: with everything mapped, all of nested's counters, and no exit."""
    common = [
        "workload=zipf",
        "workload.accesses=20000",
        "workload.footprint=16MiB",
        "guest.prefault=true",
        "mmu.nested_tlb.entries=16",
    ]
    one, two = row("mmu=nested", *common), row("mmu=nested2", *common)
    assert {name: one[name] for name in FOLDED} == {name: two[name] for name in FOLDED}
    assert two["walks"] > 0 == two["vm_exits"]


@pytest.mark.parametrize("walk", ["two_dimensional", "three_dimensional"])
def test_nested2_exits_are_handed_on(walk: str) -> None:
    """A first touch is a violation that is handed on and one of the guest hypervisor's own; what the host takes costs one to bring back."""
    common = ["workload=zipf", "workload.footprint=4MiB", "workload.accesses=20000", "overcommit.ratio=1.3"]
    one, two = row("mmu=nested", *common), row("mmu=nested2", f"mmu.walk={walk}", *common)
    first = one["host_minor_faults"]
    assert one["major_faults"] > 100
    assert two["vm_exits_ept_violation"] == one["vm_exits_ept_violation"] + first == 2 * first + one["major_faults"]
    assert two["vm_exits_hypercall"] == first
    assert two["vm_exits_shadow_fault_hidden"] == (first if walk == "two_dimensional" else 0)
    assert two["walks"] == one["walks"]  # the guest's kernel touches each frame first, and its accesses aren't simulated


def test_paravirt_batches_updates() -> None:
    """A fork of 2,048 pages: 64 hypercalls and a flush under paravirt, a trapped write for each of four tables, or each page, under shadow."""
    common = [
        "workload=uniform",
        "workload.footprint=8MiB",
        "workload.accesses=3000",
        "workload.write_share=0",
        "workload.fork_every=2000",
        "guest.prefault=all",
    ]
    paravirt, shadow, nested = (row(f"mmu={mode}", *common) for mode in ("paravirt", "shadow", "nested"))
    assert paravirt["vm_exits_hypercall"] == 2048 // 32 + 1
    assert shadow["vm_exits_page_table_write"] == shadow["resyncs"] == 4
    assert shadow["vm_exits_cr3_write"] == 1
    assert shadow["vm_exits_shadow_fault_hidden"] == 0
    trapped = row("mmu=shadow", "mmu.unsync=false", *common)
    assert trapped["vm_exits_page_table_write"] == 2048
    assert trapped["vm_exits_shadow_fault_hidden"] > 0
    assert nested["vm_exits"] == 0
    assert nested["tlb_flushes"] == shadow["tlb_flushes"] == 1
