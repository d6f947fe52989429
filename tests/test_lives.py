"""Page lives: tables, visits step by step, samples of them, and the time that they take in the memory room."""

from __future__ import annotations

import pickle
import shutil
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from memvirt import memory, workload
from memvirt.errors import ConfigError, MemvirtError, TraceError
from memvirt.memory.balloon import _follow, adjust, driver
from memvirt.pipeline.rooms import memory as memory_room
from memvirt.pipeline.rooms.workload import ROOM
from memvirt.policy import load, names
from memvirt.types import WRITE, GuestEvent, Trace
from memvirt.workload import visits
from memvirt.workload.config import Workload
from memvirt.workload.life import EXTENT, FAMILY, FREED, Life
from memvirt.workload.life._shape import bursts, inside
from memvirt.workload.visits import BEATS, REGION, as_trace, sample, visits_of
from tests.support import point

HEAD = "visits,time,vm,first,pages,written,remark\n"


def table(path: Path, *rows: str) -> Workload:
    path.write_text("# as DAMON has it\n" + HEAD + "".join(f"{row}\n" for row in rows))
    return Workload(name="pageset", path=str(path))


def life(*extents: tuple[int, int, int, int, int], freed: tuple[tuple[int, int, int], ...] = (), busy: float = 0.5) -> Life:
    pages = max(first + size for _, first, size, _, _ in extents)
    steps = max(step for step, *_ in extents) + 1
    return Life(pages, np.arange(steps + 1.0), np.full(steps, busy), np.array([*extents], EXTENT), np.array([*freed], FREED))


def visited(trace: Trace) -> list[dict[int, list[bool]]]:
    """Of each step, whether each visit of each page is a write."""
    edges = [*trace.steps["at"].astype(int), trace.accesses]
    found: list[dict[int, list[bool]]] = []
    for start, stop in pairwise(edges):
        part = trace.read(start, stop)
        of_step: dict[int, list[bool]] = {}
        for page, line in zip(part.page.tolist(), part.line.tolist(), strict=True):
            of_step.setdefault(page, []).append(bool(line & WRITE))
        found.append(of_step)
    return found


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_says_what_is_visited(tmp_path: Path, ending: str) -> None:
    """Each page of a run has its even part of the visits, the first ones are written, columns stand in any order."""
    work = table(tmp_path / "life.csv", "8,5,0,0,4,1,x", "3,5,0,10,3,0,y", "4,7.5,0,2,4,4,z", "9,6,1,0,9,0,other")
    if ending == "parquet":
        frame = pd.read_csv(tmp_path / "life.csv", comment="#")
        frame.to_parquet(tmp_path / "life.parquet")
        work = Workload(name="pageset", path=str(tmp_path / "life.parquet"))
    trace = workload.load(work)
    first, second = visited(trace)
    assert first == {0: [True] * 2, 1: [False] * 2, 2: [False] * 2, 3: [False] * 2, 10: [False], 11: [False], 12: [False]}
    assert second == {2: [True], 3: [True], 4: [True], 5: [True]}
    assert trace.steps["time"].tolist() == [0.0, 2.5]
    assert visited(workload.load(work, vm=1)) == [{page: [False] for page in range(9)}] == visited(workload.load(work, vm=3))


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("1,6,0,0,4,5", "line 4: written is 5, more than the run's 4 pages"),
        ("1,6,0,0,0,0", "line 4: pages is 0"),
        ("1,6,0,x,4,0", "line 4: first is 'x', not a number"),
        ("1,6,0,-1,4,0", "line 4: first is -1; it must be from 0"),
        ("1,4,0,0,4,0", "line 4: time is 4, before the row above"),
        ("1.5,6,0,0,4,0", "line 4: visits is 1.5, not a whole number"),
        ("nan,6,0,0,4,0", "line 4: visits is nan"),
        ("1,6", "line 4: has 2 columns"),
        ("1,6,0,2147483647,4,0", "line 4: ends at page 2147483651"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: str, why: str) -> None:
    path = tmp_path / "life.csv"
    path.write_text(HEAD.replace(",remark", "") + "8,5,0,0,4,1\n1,5,0,4,4,1\n" + row + "\n")
    with pytest.raises(TraceError, match=r"life\.csv") as told:
        workload.check(Workload(name="pageset", path=str(path)))
    assert why in str(told.value)
    assert told.value.exit_code == 2


def test_a_bad_table_is_named(tmp_path: Path) -> None:
    for name, text in {
        "a.csv": "time,first,pages,writen,visits\n1,1,1,1,1\n",
        "b.csv": "",
        "c.parquet": "no",
        "d.csv": HEAD,
    }.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(TraceError, match=name):
            Workload(name="pageset", path=str(tmp_path / name))
    with pytest.raises(TraceError, match="did you mean writen"):
        Workload(name="pageset", path=str(tmp_path / "a.csv"))
    for path in (None, str(tmp_path / "none.csv"), str(tmp_path)):
        with pytest.raises(MemvirtError):
            Workload(name="pageset", path=path)


@pytest.mark.parametrize("scale", [1, 4, 7.3, 16])
def test_a_sample_is_a_part(scale: float) -> None:
    """Exactly n/s pages, in whole regions but for the rest; their visits are those that the whole life has of them."""
    whole = life(*[(step, 700 * step, 300_000, 50_000, 90_000 + 7 * step) for step in range(3)], (2, 17, 260, 10, 77))
    runs = sample(whole.pages, scale, 5)
    assert runs.pages == round(whole.pages / scale) == (runs.end - runs.first).sum()
    assert (runs.first[1:] >= runs.end[:-1]).all()
    assert ((runs.end - runs.first)[:-1] % REGION == 0).all()
    numbers = np.concatenate([np.arange(first, end) for first, end in zip(runs.first, runs.end, strict=True)])
    place = np.full(whole.pages, -1)
    place[numbers] = np.arange(numbers.size)
    for step in range(3):
        page, line = visits_of(whole, sample(whole.pages, 1, 0), step, 9)
        assert page.size == pytest.approx(whole.extents["visits"][whole.extents["step"] == step].sum(), rel=0.01)
        kept = place[page] >= 0
        wanted = np.sort(place[page[kept]].astype(np.int64) << 8 | line[kept])
        page, line = visits_of(whole, runs, step, 9)
        assert np.array_equal(np.sort(page.astype(np.int64) << 8 | line), wanted)
        assert page.size == pytest.approx(kept.size / scale, rel=0.02)


def test_a_sample_needs_thirty_regions() -> None:
    assert sample(30 * REGION * 8, 8, 1).pages == 30 * REGION
    with pytest.raises(ConfigError, match=r"vms\.scale.*30 are needed: at most 8"):
        sample(30 * REGION * 8, 8.1, 1)


def test_freed_pages_are_unmapped() -> None:
    trace = as_trace(life((0, 0, 10, 0, 10), (1, 0, 10, 0, 5), freed=((1, 3, 4),)), 1, 1, 1, 1)
    freed = trace.events[trace.events["kind"] == GuestEvent.UNMAP]
    assert freed["page"].tolist() == [3, 4, 5, 6]
    assert set(freed["at"].tolist()) == {10}


def run(*words: str) -> tuple[list[Trace], dict[str, list[float]]]:
    """Traces and counters by epoch, of all VMs together."""
    chosen = point("epoch.accesses=null", *words)
    memory_room.check(chosen)
    vms = tuple(range(chosen.count))
    traces = [ROOM.run(ROOM.config.make(chosen, (vm,)), [])["trace"] for vm in vms]
    counters = memory.run(memory.MemoryConfig.model_validate(memory_room.ROOM.config.make(chosen, vms)), traces).counters
    return traces, {name: counters.values[:, 1:, place].sum(axis=0).tolist() for place, name in enumerate(counters.names)}


@pytest.mark.parametrize("loop", ["open", "closed"])
def test_visits_take_their_time(loop: str) -> None:
    """A step of 10 s is an epoch of 10 s, and 2 vCPUs that are busy a fifth of it have 4 s of CPU time, but for a beat at its edges."""
    words = (
        "workload=working_sets",
        "workload.footprint=8MiB",
        "workload.seconds=60",
        "workload.fill=0",
        "workload.warmup=0",
        "workload.burst_every=0",
        "vms.vcpus=2",
    )
    traces, found = run(*words, f"workload.loop={loop}", "epoch.time=10s", "reclaim/replacement=lru")
    assert traces[0].life
    assert sum(found["accesses"]) == traces[0].accesses
    assert found["busy_ns"][:6] == pytest.approx([4e9] * 6, abs=2 * 4e9 / BEATS)
    assert sum(found["busy_ns"]) == pytest.approx(24e9, rel=1e-5)
    assert sum(found["elapsed_ns"]) == pytest.approx(24e9 + 500 * sum(found["minor_faults"]) / 2, rel=1e-3)
    assert found["idle_ns"][1:5] == pytest.approx([16e9] * 4, rel=0.05)


def test_a_scale_makes_faults_longer() -> None:
    """Half the pages, as many visits' time, faults of twice the time."""
    words = (
        "workload=working_sets",
        "workload.footprint=128MiB",
        "workload.seconds=30",
        "epoch.time=10s",
        "reclaim/replacement=lru",
    )
    (one, _), (whole, half) = zip(*(run(*words, f"vms.scale={scale}", "clock.minor_fault=1ms") for scale in (1, 2)), strict=True)
    assert one[0].pages.vpn.size == 32768
    assert sum(half["minor_faults"]) == pytest.approx(sum(whole["minor_faults"]) / 2, rel=0.05)
    assert sum(half["busy_ns"]) == pytest.approx(sum(whole["busy_ns"]), rel=1e-5)
    waits = [sum(each["elapsed_ns"]) - sum(each["busy_ns"]) for each in (whole, half)]
    assert waits[1] == pytest.approx(waits[0], rel=0.05)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("workload=zipf", "workload.detail=sqlite"), "workload.detail=sqlite: is for page lives"),
        (("workload=working_sets", "workload.loop=ajar"), "workload.loop"),
        (("workload=working_sets", "workload.peak=2"), "workload.peak"),
        (("vms.members=[{workload: sqlite}, {workload: working_sets}]",), "VM 0 needs one too"),
        (("workload=working_sets", "reclaim/device=hdd", "vms.scale=64", "epoch.accesses=null", "epoch.time=1s"), "epoch.time=1s"),
        (("workload=working_sets", "vms.scale=0.5"), "vms.scale=0.5"),
        (("workload=web_server", "vms.count=60"), "vCPUs on average, and the host has 8 CPUs"),
    ],
)
def test_what_cannot_be_is_refused(words: tuple[str, ...], why: str) -> None:
    with pytest.raises(ConfigError) as told:
        memory_room.check(point(*words))
    assert why in str(told.value)


def test_a_table_that_comes_with_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found from everywhere; one of that name where the user is comes first."""
    monkeypatch.chdir(tmp_path)
    name = "experiments/before_the_cliff/memory.csv"
    found = Workload(name="memory_series", path=name).path
    assert found is not None
    assert Path(found).is_absolute()
    shutil.copytree(Path(found).parent, Path(name).parent)
    assert Workload(name="memory_series", path=name).path == name


def test_a_detail_is_no_life() -> None:
    assert workload.detail_of(Workload(name="working_sets")).name == "zipf"
    assert workload.detail_of(Workload(name="working_sets", detail={"name": "zipf", "alpha": 0.5})).options["alpha"] == 0.5
    with pytest.raises(ConfigError, match="page life itself"):
        workload.check(Workload(name="working_sets", detail="pageset"))


@pytest.mark.parametrize("name", [name for name in names(FAMILY) if not hasattr(load(FAMILY, name), "READS_FILE")])
def test_a_named_life_has_the_working_set_that_it_states(name: str) -> None:
    """Within a tenth in its window without a burst; nothing lies outside; what is filled at first is all that is ever touched."""
    work = Workload(name=name, footprint=1 << 30, burst_every=0.0, moves=0.0, scratch=0.0)
    wanted = {**load(FAMILY, name).OPTIONS, **work.options}
    trace = workload.load(work, scale=4)
    assert trace.steps.size == 72
    edges = [*trace.steps["at"].tolist(), trace.accesses]
    held = np.unique(trace.read(0, edges[10]).page)
    assert held.size == edges[10] == pytest.approx(wanted["touched"] * trace.pages.vpn.size, rel=0.01)
    steps = round(wanted["window"] / wanted["step"])
    for begin in {11, (83 - steps) // 2, 72 - steps}:
        part = trace.read(edges[begin], edges[begin + steps]).page
        assert np.isin(part, held).all()
        assert np.unique(part).size == pytest.approx(wanted["working_set"] * trace.pages.vpn.size, rel=0.1)
    written = {
        line: np.unique(trace.read(0, trace.accesses).page[trace.read(0, trace.accesses).line == line]) for line in (0, WRITE)
    }
    assert not np.isin(written[0], written[WRITE]).any()
    assert written[WRITE].size == pytest.approx(wanted["written"] * held.size, rel=0.1)


@pytest.mark.parametrize(("name", "low", "high"), [("idle", 0.04, 0.1), ("desktop", 0.05, 0.1), ("web_server", 0.23, 0.27)])
def test_ten_minutes_without_bursts(name: str, low: float, high: float) -> None:
    """Idle desktops need less than a tenth of their memory (Bila et al.), a web server of 8 GB 2 off-peak."""
    trace = workload.load(Workload(name=name, footprint=8 << 30, burst_every=0.0), scale=64)
    begin = int(trace.steps["at"][np.searchsorted(trace.steps["time"], 120.0)])
    used = np.unique(trace.read(begin, trace.accesses).page).size / trace.pages.vpn.size
    assert low < used < high


def test_half_of_an_office_leaves_half_of_its_memory() -> None:
    """As in a cloud (Li et al., Pond, ASPLOS'23)."""
    office = point("vms=office", "workload=web_server")
    touched = [load(FAMILY, work.name).OPTIONS | work.options for work in (office.member(vm).workload for vm in range(64))]
    assert sum(each["touched"] <= 0.5 for each in touched) == 32


def test_bursts_are_as_long_as_overloads_are() -> None:
    """88 % are over within two minutes (Overdriver, VEE'11), and they take their share of the time."""
    spans = bursts(3e6, 300.0, 57.0, 1)
    length = spans[:, 1] - spans[:, 0]
    assert np.mean(length < 120) == pytest.approx(0.88, abs=0.01)
    times = np.arange(0, 3e6, 10.0)
    assert inside(times, spans).mean() == pytest.approx(57 / 357, rel=0.05)
    assert (spans[1:, 0] >= spans[:-1, 1]).all()


def test_a_batch_job_frees_and_fills_again() -> None:
    made = workload.life_of(Workload(name="batch", footprint=1 << 30))
    assert made.freed["step"].tolist() == [18, 36, 54]
    assert set(made.freed["pages"].tolist()) == {round(0.33 * round(0.9 * 262144))}
    first = made.extents[made.extents["step"] == 17]["first"]
    assert set(first.tolist()) != set(made.extents[made.extents["step"] == 35]["first"].tolist())


def test_a_series_of_memory(tmp_path: Path) -> None:
    """What is held grows and shrinks as the table says, in its unit; the working set is touched in the row, and its part written."""
    path = tmp_path / "sar.csv"
    path.write_text("time,working_set,touched,written,cache,free,busy\n0,8,16,2,4,12,0.5\n60,12,24,0,2,6,1.5\n120,4,10,4,2,20,0\n")
    trace = workload.load(Workload(name="memory_series", path=str(path)), vcpus=2)
    mib, edges = 256, [*trace.steps["at"].tolist(), trace.accesses]
    assert trace.pages.vpn.size == 32 * mib
    assert trace.steps["time"].tolist() == [10.0 * step for step in range(18)]
    rows = [trace.read(edges[step], edges[step + 6] if step < 12 else trace.accesses) for step in (0, 6, 12)]
    used = [np.unique(row.page) for row in rows]
    assert used[0].size == 20 * mib  # 16 held, 4 of cache
    assert np.setdiff1d(used[1], used[0]).size == 8 * mib
    assert used[2].size == pytest.approx(0.99 * 4 * mib, rel=0.03)
    assert (np.unique(rows[1].page[rows[1].line == WRITE]) >= 16 * mib).all()
    freed = trace.events[trace.events["kind"] == GuestEvent.UNMAP]
    assert np.bincount(np.searchsorted(edges, freed["at"], side="right")).tolist()[7::6] == [2 * mib, 14 * mib]
    for text, why in (
        ("time,working_set,touched\n0,9,8\n", "line 2: working_set is 9"),
        ("time,touched\n0,9\n", "no column working_set"),
    ):
        path.write_text(text)
        with pytest.raises(TraceError, match=why):
            Workload(name="memory_series", path=str(path))


def test_a_scanner_is_as_fast_as_the_real_one() -> None:
    """KSM's 100 pages every 20 ms: 20 GB take 17 minutes a pass, whatever the scale."""
    real = 100 / (20e-3 + 100 * 1e-6)
    assert 20 * 2**30 / 4096 / real / 60 == pytest.approx(17.5, abs=0.1)
    words = ("workload=idle", "workload.footprint=256MiB", "workload.seconds=100", "workload.fill=10", "workload.warmup=20")
    sharing = ("reclaim=sharing", "reclaim/replacement=lru", "reclaim.sharing.smart_scan=false")
    for scale in (1, 4):
        _, found = run(*words, *sharing, f"vms.scale={scale}", "epoch.time=10s")
        scanned = found["ksm_pages_scanned"]
        assert (scanned[7] - scanned[0]) * scale == pytest.approx(70 * real, rel=0.03)  # the end of a pass ends a batch


def test_a_host_looks_at_its_memory_as_often_as_pages_are_taken() -> None:
    """At each allocation, of which a sampled host has fewer: every 100 us, of one page in 64 every 6.4 ms."""
    words = ("workload=working_sets", "vms.scale=64", "reclaim=linux", "overcommit.ratio=1.5")
    assert memory_room.ROOM.config.make(point(*words), (0,))["reclaim"]["tick"] == 6.4e6
    trace = point("workload=zipf", "vms.scale=64", "reclaim=linux", "overcommit.ratio=1.5")
    assert memory_room.ROOM.config.make(trace, (0,))["reclaim"]["tick"] == "100us"


def test_a_balloon_moves_fractions_of_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """4,096 pages a second are 409 in a step of 100 ms; of one page in 64, 6 or 7, and in 64 steps as many as real ones in one."""
    moved = []
    monkeypatch.setattr(driver, "follow", getattr(_follow.follow, "py_func", _follow.follow))
    monkeypatch.setattr(_follow, "deflate", lambda world, now, vm, pages: moved.append(int(pages)))
    vm = SimpleNamespace(ballooned=1 << 20, balloon_target=0)
    rules = [SimpleNamespace(scale=64.0, speedup=1.0)]
    world = SimpleNamespace(rules=rules, vms=Some([vm]))
    state = driver.make(1, 0, 0.65, 4096, "100ms", False)
    for _ in range(64):
        assert adjust(state, world, SimpleNamespace(time_ns=0.0)) == 1e8
    assert set(moved) == {6, 7}
    assert sum(moved) == 409


class Some(list[Any]):
    """A list that knows its size as arrays do."""

    @property
    def size(self) -> int:
        return len(self)


def test_a_sample_answers_as_the_whole_does() -> None:
    """Reads from swap and slowdown of a host in a burst: the mean over eight draws within two standard errors of scale 1."""
    words = ["workload=working_sets", "workload.footprint=256MiB", "vms.count=2", "workload.seconds=140", "workload.fill=20"]
    words += ["workload.warmup=40", "workload.seed=5", "epoch.time=10s", "reclaim=swap", "reclaim/replacement=lru"]

    def answer(scale: int, seed: int) -> list[float]:
        _, found = run(*words, "overcommit.ratio=1.8", f"vms.scale={scale}", f"vms.scale_seed={seed}")
        return [sum(found["swap_in_pages"]) * scale, sum(found["elapsed_ns"]) / sum(found["busy_ns"])]

    whole = np.array(answer(1, 0))
    drawn = np.array([answer(4, seed) for seed in range(8)])
    error = drawn.std(axis=0, ddof=1) / 8**0.5
    assert (np.abs(drawn.mean(axis=0) - whole) <= 2 * error).all()
    assert (error <= 0.02 * whole).all()
    assert whole[1] > 1.02


def test_visits_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for the same visits again, or unpickles them, is given those; the oldest are forgotten beyond a limit."""
    visits._kept.clear()
    first, other = life((0, 0, 900, 0, 900)), life((0, 0, 901, 0, 901))
    one = as_trace(first, 1, 1, 1, 1)
    page = one.read(0, 900).page
    for again in (as_trace(life((0, 0, 900, 0, 900)), 1, 1, 1, 1), pickle.loads(pickle.dumps(one))):
        assert np.shares_memory(again.read(0, 900).page, page)
    assert not np.shares_memory(as_trace(first, 1, 2, 1, 1).read(0, 900).page, page)  # another order
    monkeypatch.setattr(visits, "MOST_KEPT", 6000)
    as_trace(other, 1, 1, 1, 1)
    assert len(visits._kept) == 1
    assert np.array_equal(as_trace(first, 1, 1, 1, 1).read(0, 900).page, page)
