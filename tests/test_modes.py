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
from memvirt.mmu.mode.dmt import covered_pages
from memvirt.tlb import Tlb
from memvirt.tlb.segment import _hash
from memvirt.types import Event, Segment
from tests.support import composed, memory_config, row, rows, trace, write_pages

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
        (["mmu=ecpt"], 9 * 3 + 9 + 9, 5),  # 27 probes for where the candidates are, 12 at a time
        (["mmu=ecpt", "mmu.parallel=27"], 9 * 3 + 9 + 9, 3),
        (["mmu=ecpt", "mmu.parallel=4"], 9 * 3 + 9 + 9, 7 + 3 + 3),
        (["mmu=ecpt", "mmu.ways=2"], 6 * 2 + 6 + 6, 3),
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
    hashes = 0 if "mmu=ecpt" not in overrides else 1 if "host.levels=0" in overrides else 3
    assert got["cycles_per_walk_p50"] == got["cycles_per_walk_p99"] == 200 * steps + 2 * hashes
    assert got["walk_pending_cycles"] == (200 * steps + 2 * hashes) * got["walks"]


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


SMALL = ("tlb=reference", "tlb.l1_4k.entries=4", "tlb.l1_2m.entries=4", "tlb.l2.entries=8", "tlb.l2.ways=8", "guest.prefault=true")


def walked(tmp_path: Path, pages: list[int], *overrides: str) -> dict[str, Any]:
    """Row of a trace of pages, each of which misses TLBs as small as `SMALL`'s if it comes after eight others."""
    path = write_pages(tmp_path / "t.parquet", pages)
    return row("workload=trace", f"workload.path={path}", "cache=none", *SMALL, *overrides)


def test_pom_tlb_hits_cost_one_reference() -> None:
    """Each page's first walk is 2 + 24, for its entry is in neither half; later ones 1, a line of stacked memory 6 ns nearer than memory."""
    got = row(*PLAIN, "mmu=pom_tlb", "workload.accesses=60000")
    pages = 64 << 8
    assert lengths(got)[1] == got["pom_tlb_hits"] > 0
    assert lengths(got)[26] <= pages
    assert set(lengths(got)) == {1, 26}
    assert got["pom_tlb_lookups"] == got["walk_refs_in_stacked"] == lengths(got)[1] + 2 * lengths(got)[26]
    assert got["cycles_per_walk_p50"] == 200 - 6 * 2.5
    assert got["walk_pending_cycles"] == 185 * got["pom_tlb_lookups"] + 24 * 200 * lengths(got)[26]
    dear = row(*PLAIN, "mmu=pom_tlb", "workload.accesses=60000", "+cpu.memory_stacked=300")
    assert dear["walk_pending_cycles"] - got["walk_pending_cycles"] == 115 * got["pom_tlb_lookups"]


def test_pom_tlb_is_not_cached_in_the_l1d() -> None:
    """Once all entries are in, each walk is one line, which the L2 has: 64 sets of one size, none of which the L1D ever sees."""
    got = row("workload=uniform", "workload.footprint=1MiB", "workload.accesses=20000", "workload.warmup=0.5", "mmu=pom_tlb", "cache=pte",
              "mmu.size=8192", *SMALL)  # fmt: skip
    assert lengths(got) == {1: got["walks"]}
    assert got["walk_refs_in_l2"] == got["walks"] > 0
    assert got["l1d_cache_hits"] == got["l1d_cache_misses"] == 0


def test_pom_tlb_predicts_the_size_of_a_page(tmp_path: Path) -> None:
    """Pages 0 and 512 share a bit. All large: the first lookup goes to the wrong half, and misses; then the bit is right."""
    large = ("guest.page_size=2M", "host.page_size=2M", "mmu=pom_tlb", "mmu.pwc.enabled=false", "tlb.l2.entries=1", "tlb.l2.ways=1",
             "tlb.l1_2m.entries=1", "tlb.l1_2m.ways=1")  # fmt: skip
    got = walked(tmp_path, [0, 512, 0, 512, 0], *large)
    assert lengths(got) == {2 + 15: 2, 1: 3}
    # with 4K pages behind a large guest page the entry is small, and a bit that another page set to large sends the lookup astray
    one_bit = walked(tmp_path, [0, 512, 0, 512, 0], *large, "mmu.predictor=1")
    assert lengths(one_bit) == lengths(got)


def test_ecpt_needs_one_probe_where_size_and_way_are_known() -> None:
    """With cuckoo walk caches warm: 3 candidates of known size, each found by one probe, and one for the data, whose way is known too."""
    small = (*PLAIN, "mmu=ecpt", "mmu.pwc.enabled=true", "workload.footprint=16MiB", "workload.accesses=60000")
    got = row(*small)
    most = max(lengths(got).items(), key=lambda each: each[1])[0]
    assert most == 3 + 3 + 1
    assert got["cycles_per_walk_p50"] == 3 * (200 + 4)
    apart = row(*small, "mmu.cwc_pte_tables=0", "mmu.cwc_pte=0")
    assert max(lengths(apart).items(), key=lambda each: each[1])[0] == 9 + 3 + 3


def test_ecpt_hides_what_is_faster_on_another_node_too() -> None:
    """The second VM runs on node 1, its tables stand on node 0: each of its five turns takes one remote reference, not one a probe."""
    here, there = rows(*PLAIN, "mmu=ecpt", "vms.count=2", "numa=two_socket", "numa.cpus_per_node=1", "numa.shadow_tables=0")
    assert here["cycles_per_walk_p50"] == 5 * 200 + 6
    assert there["cycles_per_walk_p50"] == 5 * 400 + 6
    assert there["walk_pending_cycles"] == (5 * 400 + 6) * there["walks"]


def test_ecpt_caches_headers_only_while_that_pays() -> None:
    """Uniform over 128 MiB, mapped in order, a quarter of the lookups hits 16 entries of 2 MiB: they are given up after 1,024 lookups, in
    the next 1,024 all three ways are probed and no entry is read; since one PMD entry spans it all, they are then tried again."""
    got = row(
        *PLAIN, "mmu=ecpt", "mmu.pwc.enabled=true", "workload.footprint=128MiB", "workload.accesses=20000", "guest.prefault=all"
    )
    assert got["walks"] > 16 * 1024
    assert lengths(got)[3 + 3 + 3] == got["walks"] // 2048 * 1024
    assert lengths(got)[3 + 3 + 1] < lengths(got)[3 + 3 + 3 + 2]


@pytest.mark.parametrize(("regions", "refs"), [(16, 1), (17, 3 + 2)])
def test_ecpt_entry_spans_64_headers_of_eight_pages(tmp_path: Path, regions: int, refs: int) -> None:
    """Sixteen PMD entries know the ways of 2M pages in 16 GiB; a page in each of 17 GiB pushes out the next one's. Two lines of the
    table behind the caches are then read beside the three probes."""
    got = walked(tmp_path, [gib << 18 for gib in range(regions)] * 20, "mmu=ecpt", "guest.page_size=2M", "host.levels=0")
    counts = lengths(got)
    assert counts[refs] >= got["walks"] - 17
    assert got["walk_steps"] == got["walks"]


def test_flattened_gives_the_entries_to_the_level_that_is_left(tmp_path: Path) -> None:
    """2 + 4 + 32 entries hold the root nodes' entries of 38 GiB; nothing is left at the levels that are folded."""
    pages = ([gib << 18 for gib in range(gibs)] * 5 for gibs in (38, 39))
    fits, thrashes = (walked(tmp_path, each, "mmu=flattened", "host.levels=0") for each in pages)
    assert lengths(fits) == {2: 38, 1: 4 * 38}
    assert lengths(thrashes) == {2: 5 * 39}


def stub(pages: list[int], **options: Any) -> Any:
    """What `covered_pages` reads of a set-up."""
    known = {"registers": 16, "hole": 511, "merge": 0.0, "fragmentation": 0.0, "seed": 0} | options

    class Stub:
        class port:
            vpn = np.array(pages)
            space_of_page = np.zeros(len(pages), np.int64)

        option = staticmethod(known.__getitem__)

    return Stub


def test_dmt_registers_go_to_the_largest_mappings() -> None:
    """Of three ranges of pages the two largest are served directly."""
    pages = [*range(1000, 1010), *range(5000, 5500), *range(9000, 9400)]
    assert covered_pages(stub(pages, registers=2)).tolist() == [0] * 10 + [1] * 900
    assert covered_pages(stub(pages, registers=1, hole=5000)).tolist() == [1] * 910


def test_dmt_joins_no_mappings_across_2_mib_unless_told() -> None:
    """A hole of 511 pages is a VMA's, one of 512 lies between two; those 512 are 0.4995 of what both take together."""
    assert covered_pages(stub([0, 512], registers=1)).tolist() == [1, 1]
    assert covered_pages(stub([0, 1, 514], registers=1)).tolist() == [1, 1, 0]
    pages = [*range(256), *range(768, 1025)]
    assert covered_pages(stub(pages, registers=1)).sum() == 257
    assert covered_pages(stub(pages, registers=1, merge=0.4995)).sum() == 257
    assert covered_pages(stub(pages, registers=1, merge=0.4996)).sum() == 513


def test_dmt_growth_fails_where_memory_is_fragmented() -> None:
    """A mapping's first 512 pages always have entries; with a quarter of growths failing, 0.75 of mappings get the next 512."""
    one = list(range(2000))
    assert covered_pages(stub(one, fragmentation=1.0)).tolist() == [1] * 512 + [0] * 1488
    assert covered_pages(stub(one)).all()
    ends = [start + page for start in range(0, 4096 << 12, 4096) for page in (0, 511, 512, 600, 1023)]
    pages = covered_pages(stub(ends, registers=1 << 20, fragmentation=0.25)).reshape(-1, 5)
    assert pages[:, :2].all()
    assert pages[:, 2:].all(axis=1).mean() == pytest.approx(0.75, abs=0.02)
    assert (pages[:, 2] == pages[:, 4]).all()


@pytest.mark.parametrize("bits", [64, 4096])
def test_what_the_host_takes_away_fills_the_escape_filter(bits: int) -> None:
    """Dual direct segments under host swap, against a filter kept here: which pages escape, how many only seem to, and what walks."""
    options = {"segments": "dual", "filter_bits": bits}
    run = trace(np.random.default_rng(0).integers(0, 512, 3000))
    machine = memory.run(
        memory_config(dimensions=2, overrides=["overcommit.ratio=1.05", "reclaim=swap", "guest.prefault=all"]), [run]
    )
    pages = machine.space.vpn.size
    direct, taken = np.ones(pages, bool), np.zeros(bits, bool)
    escaped = caught = passing = 0
    numbers = np.arange(pages, dtype=np.uint64)
    places = np.array([_hash(Segment(1.0, 0.0, bits, 4, 1), numbers, which) % np.uint64(bits) for which in range(4)]).T.astype(int)
    for event in machine.frames.changes:
        if event["kind"] == Event.EVICT:
            passing = event["count"]
        elif event["kind"] == Event.DROP and passing:
            passing -= 1
            escaped += direct[event["page"]]
            direct[event["page"]] = False
            taken[places[event["page"]]] = True
            found = direct & taken[places].all(axis=1)
            caught += found.sum()
            direct &= ~found
    mode = Mmu(name="direct_segment", pwc={"enabled": False}, **options)
    config = Tlb.model_validate(composed(*SMALL)["tlb"])
    walks = tlb.run(config, mmu.traits(mode), [run], machine.space, machine.schedule, machine.shootdowns)
    out = mmu.run(mode, Cache(name="none"), [run], machine.mapped, walks.offsets)
    got = dict(zip(out.counters.names, out.counters.values.sum(axis=(0, 1)).tolist(), strict=True))
    assert (got["segment_escapes"], got["segment_false_positives"]) == (escaped, caught)
    assert escaped > 0
    if bits == 64:
        assert escaped + caught == pages  # so small a filter takes every page for one that is away
    refs = np.flatnonzero(out.histogram.sum(axis=0)).tolist()
    assert refs in (
        [4],
        [0, 4],
    )  # the guest's segment still holds; out of the host's, its tables are walked; 0 are the guest's faults
    assert got["walks"] > escaped


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
    walks = tlb.run(config, mmu.traits(Mmu(name="native")), [run], machine.space, machine.schedule, machine.shootdowns)
    pwc = {"rule": rule}
    found = {}
    for name in ("native", "shadow"):
        state, port = mmu.start(Mmu(name=name, pwc=pwc), Cache(name="full", **SMALL_CACHES), machine.mapped, True, True)
        if name == "shadow":
            own, shadow = machine.frames.guest.frames, state.shadow
            shadow.hfn[shadow.table.ravel()] = own.ravel()
        out = mmu.drive(state, port, [run], machine.mapped, walks.offsets)
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
