"""A guest's page cache in page lives: what is dropped before what, what must be written, what is read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from memvirt import workload
from memvirt.errors import ConfigError, TraceError
from memvirt.memory.layout import files_of
from memvirt.workload.config import Workload
from memvirt.workload.life import EXTENT, FILES, FREED, NO_FILES, Life
from memvirt.workload.life._shape import extents
from memvirt.workload.life.pageset import joined
from memvirt.workload.lives import life_of
from memvirt.workload.visits import as_trace, sample
from tests.plain import Checker
from tests.support import trace

WORDS = ["workload.detail=none", "vms.scale=1", "epoch.accesses=null", "epoch.time=5s", "guest.page_struct=0", "cpu=skylake"]
HEAD = "time,first,pages,written,visits,file\n"
OWN, CACHE, GROWTH = "0,0,60,0,60,0", "0,60,40,{},40,1", "{},100,20,20,20,0"


def host(
    plain: Checker, path: Path, *rows: str, memory: int = 100, words: tuple[str, ...] = ("reclaim=balloon",)
) -> dict[str, int]:
    """What a host of so many pages counts with one VM."""
    path.write_text(HEAD + "".join(f"{row}\n" for row in rows))
    limit = f"overcommit.host_memory={4 * memory}KiB"
    return plain("workload=pageset", f"workload.path={path}", "workload.busy=0.01", *WORDS, limit, *words)


def test_a_balloon_takes_page_cache_first(plain: Checker, tmp_path: Path) -> None:
    """Clean pages of files go without a write before any of the programs' own; after them those are paged out."""
    first = (OWN, CACHE.format(0), GROWTH.format(10))
    found = host(plain, tmp_path / "a.csv", *first)
    assert (found["cache_dropped_pages"], found["cache_written_pages"], found["guest_swap_out_pages"]) == (20, 0, 0)
    assert found["vms"][0]["cache_pages"] == 20
    assert found["guest_major_faults"] == 0  # what is read for the first time is the life's own
    less = host(plain, tmp_path / "a.csv", *first, memory=70)
    assert less["cache_dropped_pages"] == 40
    assert less["guest_swap_out_pages"] > 0


def test_what_was_written_of_late_is_written_first(plain: Checker, tmp_path: Path) -> None:
    """The flusher writes what has been dirty for 30 s; a page that goes before that must be written."""
    for time, written in ((10, 20), (33, 20), (36, 0)):
        ends = "1,0,1,0,1,0", f"{time + 1},0,1,0,1,0"  # of the steps in which cache is written, and memory is short
        found = host(plain, tmp_path / "a.csv", OWN, CACHE.format(40), ends[0], GROWTH.format(time), ends[1])
        assert (found["cache_dropped_pages"], found["cache_written_pages"]) == (20, written), time


def test_what_was_dropped_is_read_again(plain: Checker, tmp_path: Path) -> None:
    """An access waits for a page of a file that was dropped; then the programs' own pages go as well."""
    again = (OWN, CACHE.format(0), GROWTH.format(10), "20,60,40,0,40,0")
    found = host(plain, tmp_path / "a.csv", *again)
    assert found["guest_major_faults"] == found["cache_read_pages"] + found["guest_swap_in_pages"]
    assert found["cache_read_pages"] >= 20
    assert found["guest_swap_out_pages"] > 0
    assert found["stall_ns"] > 0


def test_a_host_writes_page_cache_for_nothing(plain: Checker, tmp_path: Path) -> None:
    """Host swap knows no files: it writes what the guest has on its disk, and the guest reads nothing of its own accord."""
    found = host(plain, tmp_path / "a.csv", CACHE.format(0), "10,0,60,60,60,0", GROWTH.format(20), words=("reclaim=swap",))
    assert found["swap_out_pages"] == found["silent_write_pages"] == 20  # the coldest are the cache
    assert found["cache_dropped_pages"] == 0
    assert found["vms"][0]["cache_pages"] == 40


def test_a_guest_too_small_drops_its_cache(plain: Checker, tmp_path: Path) -> None:
    """Without swap, and on a host with memory enough, a guest makes room among files' pages alone, and has no other room."""
    words = ("reclaim=none", "vms.memory=400KiB")
    found = host(plain, tmp_path / "a.csv", OWN, CACHE.format(0), GROWTH.format(10), memory=200, words=words)
    assert found["cache_dropped_pages"] == 20
    full = host(plain, tmp_path / "a.csv", OWN, CACHE.format(0), "10,100,50,0,50,0", memory=200, words=words)
    assert "touches more than its vms.memory" in full["ended"]


def test_what_a_life_frees_is_not_read_again(plain: Checker, tmp_path: Path) -> None:
    """A series whose cache shrinks and grows reads what it would read with memory enough: that takes no time."""
    path = tmp_path / "series.csv"
    path.write_text("time,working_set,touched,cache\n0,40,60,40\n20,40,60,0\n40,40,60,40\n")
    words = ["workload=memory_series", f"workload.path={path}", "workload.unit=KiB", *WORDS, "workload.busy=0.1"]
    found = plain(*words, "reclaim=balloon", "overcommit.ratio=1")
    assert found["unmapped_entries"] == 10
    assert found["cache_read_pages"] == found["stall_ns"] == 0
    assert found["vms"][0]["cache_pages"] == 10


@pytest.mark.parametrize(
    ("region", "words"), [(8, []), (512, ["guest.page_size=2M", "host.page_size=2M"]), (8, ["guest.replacement=clock"])]
)
def test_nothing_is_lost(plain: Checker, tmp_path: Path, region: int, words: list[str]) -> None:
    """Frames free + used = total, and a guest's book of its cache is right, on a host that is short."""
    random = np.random.default_rng(region)
    first, size = random.integers(0, 12, 60) * region, random.integers(1, 3, 60) * region
    visits, written = np.minimum(size, 12), size * random.integers(0, 2, 60)
    rows = [HEAD.strip() + ",vm"]
    for row, run in enumerate(first):
        file = int(run // region % 3 == 0)
        pages = min(size[row], region) if file else size[row]  # a run of files' pages isn't continued by others
        rows.append(f"{2 * row},{run},{pages},{min(written[row], pages)},{visits[row]},{file},{row % 2}")
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n")
    where = ["workload=pageset", f"workload.path={tmp_path / 'a.csv'}", "workload.busy=0.01", "vms.count=2"]
    found = plain(*where, *WORDS, "overcommit.ratio=1.8", "reclaim=balloon", "clock.quantum=10", *words)
    assert found["checks"] > 0
    assert found["cache_dropped_pages"] > 0
    assert found["cache_read_pages"] > 0


def test_larger_pages_are_files_as_a_whole() -> None:
    """As many of them as come nearest to what is said; small ones exactly those."""
    said = np.arange(8 * 512) % 512 >= 384
    life = Life(said.size, np.arange(2.0), np.ones(1), np.zeros(0, EXTENT), np.zeros(0, FREED), files=_quarters(8))
    (small,) = {files.tobytes() for files in (said, as_trace(life, 1, 1, 1, 1).files)}
    page, traces = np.arange(said.size), [as_trace(life, 1, 1, 1, 1)]
    assert files_of(traces, np.zeros(said.size, np.uint8), page).tobytes() == small
    large = files_of(traces, np.full(said.size, 9, np.uint8), page // 512 * 512)
    assert large[::512].tolist() == [False, False, False, True] * 2
    assert np.array_equal(large, np.repeat(large[::512], 512))
    assert not files_of([trace([1, 2, 3])], np.zeros(3, np.uint8), page[:3]).any()


def _quarters(regions: int) -> np.ndarray:
    return np.array([(region * 512 + 384, 128) for region in range(regions)], FILES)


def test_a_sample_has_its_share_of_files() -> None:
    """What is sampled of files' pages are those of the regions that are sampled."""
    pages = 120 * 512
    visits = extents(0, 0, pages, 0, pages)
    life = Life(pages, np.arange(2.0), np.ones(1), visits, np.zeros(0, FREED), files=_quarters(120))
    runs = sample(pages, 4, 3)
    files = as_trace(life, 4, 1, 3, 1).files
    assert files.size == runs.pages
    assert files.sum() == runs.pages / 4
    numbers = np.concatenate([np.arange(first, end) for first, end in zip(runs.first, runs.end, strict=True)])
    assert np.array_equal(files, numbers % 512 >= 384)


def test_named_lives_say_what_is_cache() -> None:
    """The share that they state, of what they touch, the coldest of it or evenly; access-level traces have no files."""
    shares = {"web_server": (1.0, 0.15), "idle": (0.5, 0.15), "database": (0.9, 0.11), "in_memory_cache": (0.95, 0.0)}
    pages = 1 << 18
    for name, (touched, share) in shares.items():
        files = life_of(Workload(name=name, footprint=1 << 30)).files
        assert files["pages"].sum() == pytest.approx(share * touched * pages, rel=0.001)
        assert not share or files.tolist() == [(round(touched * pages) - files["pages"][0], files["pages"][0])]
        even = life_of(Workload(name=name, footprint=1 << 30, cache_use="even")).files
        assert even["pages"].sum() == pytest.approx(share * touched * pages, rel=0.01)
    with pytest.raises(ConfigError, match=r"workload\.cache_use=warm: is none of its values"):
        workload.check(Workload(name="idle", cache_use="warm"))
    assert workload.load(Workload(name="zipf", footprint=1 << 20)).files.size == 0


def test_runs_are_joined_and_marks_checked(tmp_path: Path) -> None:
    assert joined(np.array([8, 0, 2]), np.array([9, 4, 6])).tolist() == [(0, 6), (8, 1)]
    assert joined(np.zeros(0, np.int64), np.zeros(0, np.int64)).size == NO_FILES.size
    (tmp_path / "a.csv").write_text(HEAD + "0,0,60,0,60,2\n")
    with pytest.raises(TraceError, match="line 2: file is 2; it must be 0 or 1"):
        workload.check(Workload(name="pageset", path=str(tmp_path / "a.csv")))
