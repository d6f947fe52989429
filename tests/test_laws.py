"""Laws of paging and translation that hold whatever the code looks like: exact ones, and ones of large numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from memvirt import memory, tlb
from memvirt.cost import PARTS
from memvirt.tlb import Tlb
from memvirt.tlb.misses import unpack
from memvirt.types import Traits
from tests.support import BELADY, TEXTBOOK, composed, faults, memory_config, row, rows, trace


@pytest.mark.parametrize(
    ("policy", "pages", "frames", "wanted"),
    [
        ("fifo", BELADY, 3, 9), ("fifo", BELADY, 4, 10), ("lru", BELADY, 3, 10), ("lru", BELADY, 4, 8),
        ("fifo", TEXTBOOK, 3, 15), ("lru", TEXTBOOK, 3, 12), ("fifo", TEXTBOOK, 4, 10), ("lru", TEXTBOOK, 4, 8),
    ],
)  # fmt: skip
def test_textbook_strings(policy: str, pages: list[int], frames: int, wanted: int) -> None:
    """Belady's anomaly and its companions, fault by fault, also with the whole machine around them."""
    assert faults(policy, pages, frames) == wanted
    overrides = [f"reclaim/replacement={policy}", f"overcommit.host_memory={4 * frames}KiB"]
    machine = memory.run(memory_config(overrides=overrides), [trace(pages)])
    counts = dict(zip(machine.counters.names, machine.counters.values.sum(axis=(0, 1)).tolist(), strict=True))
    assert counts["minor_faults"] + counts["major_faults"] == wanted


def test_lru_is_a_stack_algorithm() -> None:
    """More frames never mean more faults."""
    pages = np.random.default_rng(5).zipf(1.3, 20_000) % 300
    found = [faults("lru", pages, frames) for frames in range(1, 200, 7)]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("policy", ["lru", "fifo"])
def test_cyclic_sweep(policy: str) -> None:
    """N pages over fewer frames: every access faults."""
    assert faults(policy, list(range(50)) * 20, 49) == 1000


@pytest.mark.parametrize("policy", ["lru", "fifo", "clock", "random"])
def test_uniform(policy: str) -> None:
    """The hit ratio is frames over pages."""
    pages = np.random.default_rng(2).integers(0, 1000, 400_000)
    ratio = 1 - (faults(policy, pages, 300) - 300) / (pages.size - 300)
    assert ratio == pytest.approx(0.3, abs=3 * math.sqrt(0.3 * 0.7 / pages.size) + 0.001)


@pytest.mark.parametrize(
    ("policy", "frames", "wanted"),
    [("lru", 100, 0.1566), ("lru", 1000, 0.4367), ("lru", 5000, 0.7916), ("fifo", 100, 0.1336), ("fifo", 1000, 0.3942),
     ("fifo", 5000, 0.7531), ("random", 100, 0.1336), ("random", 1000, 0.3942), ("random", 5000, 0.7531)],
)  # fmt: skip
def test_zipf(policy: str, frames: int, wanted: float) -> None:
    """Zipf(0.8) over 10,000 pages: Che's approximation for LRU, FIFO the same as random."""
    weights = np.arange(1, 10_001) ** -0.8
    pages = np.random.default_rng(4).choice(10_000, 1_200_000, p=weights / weights.sum())
    warm = 200_000
    counted = faults(policy, pages, frames) - faults(policy, pages[:warm], frames)
    assert 1 - counted / (pages.size - warm) == pytest.approx(wanted, rel=0.01)


@pytest.mark.parametrize("trials", [500, pytest.param(1500, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("distance", "wanted"), [(768, 0.980), (1152, 0.804), (1536, 0.461)])
def test_set_associative(distance: int, wanted: float, trials: int) -> None:
    """A page's chance to be found in 128 sets of 12 ways after so many other pages (Smith's model, random mapping)."""
    rng = np.random.default_rng(distance)
    others = rng.integers(0, 1 << 34, trials * distance)
    pages = np.concatenate([np.concatenate([[first], part, [first]]) for first, part in
                            zip(rng.integers(0, 1 << 34, trials), np.split(others, trials), strict=True)])  # fmt: skip
    config = Tlb.model_validate({**composed("tlb=reference")["tlb"], "l2": {"level": 1, "page_sizes": ["1G"], "entries": 4, "ways": 4},
                                 "l1_4k": {"level": 1, "page_sizes": ["4K"], "entries": 1536, "ways": 12}})  # fmt: skip
    run = trace(pages)
    machine = memory.run(memory_config(overrides=["guest.prefault=true"]), [run])
    walks = tlb.run(config, Traits(dimensions=1), [run], machine.space, machine.schedule, machine.shootdowns)
    missed = np.concatenate([unpack(part).astype(np.int64) + (number << 20) for number, part in enumerate(walks.offsets)])
    again = np.arange(trials) * (distance + 2) + distance + 1
    hits = 1 - np.isin(again, missed).mean()
    assert hits == pytest.approx(wanted, abs=3 * math.sqrt(wanted * (1 - wanted) / trials) + 0.001)


SIZES = ("4K", "2M", "1G")
NO_PWC = ("mmu.pwc.enabled=false", "guest.prefault=true", "workload=uniform", "workload.accesses=3000", "cache=none")


@pytest.mark.parametrize("guest", SIZES)
@pytest.mark.parametrize("host", SIZES)
@pytest.mark.parametrize("levels", [(4, 4), (5, 5), (5, 4), (4, 5)])
def test_walk_references(guest: str, host: str, levels: tuple[int, int]) -> None:
    """(Lg + 1)(Lh + 1) - 1 references a nested walk, Lg a native or shadow one."""
    depth = {"4K": 0, "2M": 1, "1G": 2}
    overrides = [
        *NO_PWC,
        f"guest.page_size={guest}",
        f"host.page_size={host}",
        f"guest.levels={levels[0]}",
        f"host.levels={levels[1]}",
    ]
    high, low = levels[0] - depth[guest], levels[1] - depth[host]
    wanted = (high + 1) * (low + 1) - 1
    got = row("mmu=nested", *overrides, "tlb=skylake", "tlb.l1_1g.entries=4", "workload.footprint=64MiB")
    assert got["walks"] > got["faulting_walks"] == 0
    assert got["refs_per_walk"] == f"{wanted}:{got['walks']}"
    assert (got["walk_refs_guest"], got["walk_refs_host"]) == (high * got["walks"], (high + 1) * low * got["walks"])
    if host == "4K":  # shadow entries are as small as the smaller page
        native = row("mmu=native", *overrides)
        assert native["refs_per_walk"] == f"{high}:{native['walks']}"


@pytest.mark.parametrize("guest", SIZES)
def test_shadow_in_sync_walks_as_native(guest: str) -> None:
    """With everything mapped, shadow and native read as many entries, and no exit is taken."""
    both = [row(f"mmu={mode}", *NO_PWC, f"guest.page_size={guest}", f"host.page_size={guest}") for mode in ("native", "shadow")]
    for name in ("walks", "walk_refs_guest", "walk_refs_host", "refs_per_walk", "l1_tlb_misses", "l2_tlb_misses", "vm_exits"):
        assert both[0][name] == both[1][name], name
    assert both[1]["vm_exits"] == 0


@pytest.mark.parametrize("pwc", ["false", "true"])
def test_nested_over_an_identity_host_is_native(pwc: str) -> None:
    """host.levels=0: not a reference more."""
    common = ["workload=zipf", "workload.accesses=40000", f"mmu.pwc.enabled={pwc}", "guest.prefault=true", "cache=full"]
    native, nested = row("mmu=native", *common), row("mmu=nested", "host.levels=0", *common)
    for name in native:
        if name not in ("host_minor_faults",):
            assert native[name] == nested[name], name


@pytest.mark.parametrize(("gib", "wanted"), [(1, 1.9375), (4, 1.9844), pytest.param(16, 2.7432, marks=pytest.mark.slow)])
def test_page_walk_caches(gib: int, wanted: float) -> None:
    """Expected references a walk over uniform pages: 32 PDE and 4 PDPTE entries, LRU."""
    ways = ["mmu.pwc.guest.pde.ways=full", "mmu.pwc.guest.pdpte.ways=full"]
    got = row(
        "mmu=native", "workload=uniform", f"workload.footprint={gib}G", "workload.accesses=300000", "workload.warmup=0.1",
        "guest.prefault=true", "cache=none", *ways,
    )  # fmt: skip
    assert got["walk_refs_guest"] / got["walks"] == pytest.approx(wanted, rel=0.01)


def test_slowdown_of_the_baseline_is_one() -> None:
    """A native VM, alone, everything mapped: exactly 1.0."""
    for workload in ("sqlite", "zipf"):
        got = row(f"workload={workload}", "workload.accesses=100000", "mmu=native", "guest.prefault=true", "workload.warmup=0.1")
        assert got["slowdown"] == 1.0


def test_hits_and_misses_add_up() -> None:
    """Of every cache and TLB, under pressure, on every mode."""
    for mode in ("native", "nested", "shadow"):
        for got in rows(
            f"mmu={mode}",
            "vms.count=2",
            "workload=zipf",
            "workload.accesses=20000",
            "workload.footprint=16MiB",
            "overcommit.ratio=1.4",
        ):
            refs = got["walk_refs_guest"] + got["walk_refs_host"]
            assert refs == sum(got[f"walk_refs_in_{where}"] for where in ("l1d", "l2", "llc", "memory"))
            assert got["l1d_cache_hits"] + got["l1d_cache_misses"] == got["accesses"] + refs
            assert got["l2_cache_hits"] + got["l2_cache_misses"] == got["l1d_cache_misses"]
            assert got["llc_hits"] + got["llc_misses"] == got["l2_cache_misses"]
            assert got["l2_tlb_misses"] <= got["l1_tlb_misses"] <= got["accesses"]
            assert got["walks"] == got["l2_tlb_misses"] + got["faulting_walks"]
            histogram = [tuple(map(int, part.split(":"))) for part in got["refs_per_walk"].split()]
            assert sum(times for _, times in histogram) == got["walks"]
            assert sum(length * times for length, times in histogram) == refs
            assert got["vm_exits"] == sum(value for name, value in got.items() if name.startswith("vm_exits_"))
            assert got["major_faults"] == got["swap_in_pages"]
            assert got["cycles"] == pytest.approx(sum(got[part] for part in PARTS))
