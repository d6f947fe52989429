"""Each room against its plain restatement, on random input."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memvirt import memory, tlb
from memvirt.tlb import Tlb
from memvirt.tlb.misses import unpack
from memvirt.types import CHUNK, Event, Traits
from tests.naive import NaiveTlb, host_counts, nested_counts
from tests.support import composed, memory_config, row, trace, write_pages

few = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
LOOK_UPS = ("tlb.l1_4k.hit_cycles=1", "tlb.l1_2m.hit_cycles=0", "tlb.l2.hit_cycles=5")
page_lists = st.lists(st.integers(0, 60), min_size=1, max_size=300)


@few
@given(page_lists, st.sampled_from(["lru", "fifo"]))
def test_tlb(pages: list[int], policy: str) -> None:
    """Hits and misses of two small levels, and what looking up takes."""
    name = f"tlb/replacement={policy}"
    sizes = ["tlb.l1_4k.entries=8", "tlb.l1_4k.ways=2", "tlb.l2.entries=24", "tlb.l2.ways=3", *LOOK_UPS]
    config = Tlb.model_validate(composed("tlb=reference", name, *sizes)["tlb"])
    machine = memory.run(memory_config(), [trace(pages)])
    walks = tlb.run(config, Traits(dimensions=1), [trace(pages)], machine.space, machine.schedule, machine.shootdowns)
    naive = NaiveTlb((8, 2), (24, 3), policy, (1, 5))
    wanted = [place for place, page in enumerate(pages) if naive.access(page)]
    assert unpack(walks.offsets[0]).tolist() == wanted
    counts = dict(zip(walks.counters.names, walks.counters.values.sum(axis=(0, 1)).tolist(), strict=True))
    wanted_counts = (naive.l1_misses, naive.l2_misses, naive.cycles)
    assert (counts["l1_tlb_misses"], counts["l2_tlb_misses"], counts["tlb_lookup_cycles"]) == wanted_counts


@few
@given(
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 63)), min_size=1, max_size=250),
    st.sampled_from([("nested", 4, 4), ("nested", 5, 4), ("nested", 4, 5), ("nested", 4, 0), ("native", 4, 4), ("shadow", 4, 4)]),
    st.booleans(),
)
def test_walks(accesses: list[tuple[int, int]], design: tuple[str, int, int], data_too: bool) -> None:
    """Walks, their references, and where in the caches each was, from end to end."""
    mode, guest_levels, host_levels = design
    pages, lines = [page // 7 * 7 for page, _ in accesses], [line for _, line in accesses]
    sizes = ["cache.l1d.size=1KiB", "cache.l1d.ways=4", "cache.l2.size=2KiB", "cache.l2.ways=2", "cache.llc.size=8KiB"]
    geometry = ["tlb.l1_4k.entries=8", "tlb.l1_4k.ways=2", "tlb.l2.entries=24", "tlb.l2.ways=3"]
    with tempfile.TemporaryDirectory() as folder:
        path = write_pages(Path(folder) / "t.parquet", pages, lines)
        got = row(
            "experiment=nested_reference", f"workload.path={path}", f"mmu={mode}", "mmu.pwc.enabled=false",
            f"guest.levels={guest_levels}", f"host.levels={host_levels}", f"cache={'full' if data_too else 'pte'}", *sizes, *geometry,
        )  # fmt: skip
    small = [(1 << 10, 4), (2 << 10, 2), (8 << 10, 16)]
    if mode == "native":
        wanted = nested_counts(pages, lines, (8, 2), (24, 3), small, (guest_levels, 0), data_too)
    elif mode == "nested":
        wanted = nested_counts(pages, lines, (8, 2), (24, 3), small, (guest_levels, host_levels), data_too)
    else:  # the shadow tables stand elsewhere in memory, so only what doesn't depend on that is compared
        wanted = nested_counts(pages, lines, (8, 2), (24, 3), small, (guest_levels, 0), data_too)
        wanted = {name: value for name, value in wanted.items() if "_in_" not in name}
    assert {name: got[name] for name in wanted} == wanted


@pytest.mark.parametrize("policy", ["lru", "fifo", "clock"])
@settings(few, max_examples=8)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=1, max_size=400), min_size=1, max_size=3),
    st.integers(1, 60),
)
def test_swap(policy: str, programs: list[list[tuple[int, bool]]], frames: int) -> None:
    """Faults and swap traffic of each VM, in the merged order that the room chose."""
    traces = [trace([page for page, _ in program], [write for _, write in program]) for program in programs]
    overrides = [f"reclaim/replacement={policy}", f"overcommit.host_memory={frames * 4}KiB"]
    machine = memory.run(memory_config(len(traces), overrides=overrides), traces)
    order = []
    for run in machine.schedule.runs:
        part = programs[run["vm"]][int(run["start"]) : int(run["start"]) + int(run["length"])]
        order += [(int(run["vm"]), page, write) for page, write in part]
    assert len(order) == sum(map(len, programs)) == machine.schedule.accesses
    wanted = host_counts(order, frames, policy)
    for vm, counts in wanted.items():
        values = machine.counters.values[vm].sum(axis=0)
        got = {name: int(values[machine.counters.names.index(name)]) for name in counts}
        assert got == counts


def replay(machine: memory.Machine) -> None:
    """Follow the events: no host frame is behind two pages, none is used that isn't there."""
    order = machine.frames.order_of_frame.astype(int)
    behind = {frame: int(hfn) for frame, hfn in enumerate(machine.frames.hfn_of_frame) if hfn != 0xFFFFFFFF}
    used = set(behind.values())
    assert len(used) == len(behind)
    tables = {int(f) for f in machine.frames.host.frames.ravel() if f != 0xFFFFFFFF}
    assert len(tables & used) == 0
    for event in machine.frames.changes:
        frame, hfn, size = int(event["frame"]), int(event["hfn"]), 1 << int(event["order"])
        kind = Event(int(event["kind"]))
        if kind in (Event.HOST_MAP, Event.SWAP_IN):
            for part in range(size):
                assert frame + part not in behind
                assert hfn + part not in used
                assert hfn + part not in tables
                behind[frame + part] = hfn + part
                used.add(hfn + part)
        elif kind == Event.EVICT:
            for part in range(size):
                used.discard(behind.pop(frame + part))
    assert max(used, default=0) < machine.frames.host_frames
    assert order.size == machine.frames.hfn_of_frame.size


@pytest.mark.parametrize("host_size", ["4K", "2M", "thp"])
@pytest.mark.parametrize("guest_size", ["4K", "2M", "thp"])
def test_frames_are_conserved(guest_size: str, host_size: str) -> None:
    """In two dimensions, under pressure, for every pair of page sizes."""
    rng = np.random.default_rng(3)
    traces = [trace(rng.integers(0, 3000, 6000).tolist()) for _ in range(2)]
    overrides = [f"guest.page_size={guest_size}", f"host.page_size={host_size}", "overcommit.ratio=1.7"]
    machine = memory.run(memory_config(2, dimensions=2, overrides=overrides), traces)
    replay(machine)
    assert machine.counters.values[:, :, machine.counters.names.index("swap_out_pages")].sum() > 0


def test_in_chunks_is_in_one_piece() -> None:
    """The TLB room doesn't care how the merged order is cut."""
    rng = np.random.default_rng(1)
    traces = [trace(rng.integers(0, 3000, 20_000).tolist()) for _ in range(2)]
    config = Tlb.model_validate(composed("tlb=skylake")["tlb"])
    machine = memory.run(memory_config(2, overrides=["overcommit.ratio=1.3"]), traces)
    parts = (traces, machine.space, machine.schedule, machine.shootdowns)
    whole = tlb.run(config, Traits(dimensions=1), *parts)
    cut = tlb.run(config, Traits(dimensions=1), *parts, step=777)
    assert machine.schedule.accesses < CHUNK
    pieces = np.concatenate([unpack(part).astype(np.int64) + 777 * number for number, part in enumerate(cut.offsets)])
    assert (pieces == unpack(whole.offsets[0])).all()
    assert (cut.counters.values == whole.counters.values).all()
