"""Page lives from what others write: DAMON's snapshots, masim's configs, traces of accesses; and what is assumed of them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from memvirt.errors import ConfigError, TraceError
from memvirt.trace.cli import main
from memvirt.workload import Workload, assumed, check, life_of
from memvirt.workload.visited import Visited, as_columns, from_accesses, pack, read_visited
from tests.support import here
from tests.trace_files import FORMS

DATA = Path(__file__).parent / "data"
MASIM = """#regions
# name, length, initial data file
a, 40960, none
b, 20480

# phases
first
3000
a, 1, 64, 80, wo

second
2000
b, 0, 8192, 50, ro
a, 0, 64, 0
"""


def extents(config: Workload) -> list[tuple[int, ...]]:
    """Step, first page, pages, written, visits."""
    return [tuple(map(int, row)) for row in life_of(config).extents]


@pytest.mark.parametrize("name", ["damon_raw.txt", "damon.json"])
def test_damon_snapshots(name: str) -> None:
    """A snapshot is a step; targets that are looked at one after the other share it; regions without accesses aren't visited."""
    work = Workload(name="pageset", path=str(DATA / name), written=0.5)
    check(work)
    life = life_of(work)
    assert life.times.tolist() == [0.0, 1.0, 2.0, 3.0]
    # target 0 begins at 0x55d0c0000000, so its 126 pages are 0 to 125, and the 1,920 behind them reach into a fourth region of 2 MiB;
    # target 1's two pages are alone in the fifth, 470 pages behind its beginning
    first, other = (0, 126, 63, 126), (2518, 2, 1, 2)
    assert extents(work) == [(0, *first), (0, *other), (1, 126, 1920, 960, 1920), (1, *other), (2, *first)]
    assert any("holds no writes" in said for said in assumed(work))


def test_damo_itself(tmp_path: Path) -> None:
    """What the installed damo prints, if there is one, is what the fixtures say."""
    damo = shutil.which("damo")
    if damo is None:
        pytest.skip("damo isn't installed (PyPI)")
    for kind in ("--raw_form", "--json"):
        words = [damo, "report", "access", "--input", str(DATA / "damon_record.txt"), kind]
        path = tmp_path / "report"
        path.write_bytes(subprocess.run(words, check=True, capture_output=True, timeout=60).stdout)
        assert extents(Workload(name="pageset", path=str(path))) == extents(Workload(name="pageset", path=str(DATA / "damon.json")))


def test_masim_configs(tmp_path: Path) -> None:
    """Phases in steps, patterns' pages, their modes and strides; patterns without probability don't run."""
    path = tmp_path / "config"
    path.write_text(MASIM)
    work = Workload(name="pageset", path=str(path), step=2.0)
    assert life_of(work).times.tolist() == [0.0, 1.5, 3.0, 5.0]
    assert extents(work) == [(0, 0, 10, 10, 10), (1, 0, 10, 10, 10), (2, 10, 5, 0, 3)]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("3000", "3 s", "line 7: of masim's config begins no phase"),
        ("a, 1, 64, 80", "c, 1, 64, 80", "line 9: of masim's config is no pattern"),
        ("a, 40960", "a, 0", "line 3: of masim's config is no region"),
        ("2000", "2000000000", "make workload.step longer"),
    ],
)
def test_masim_is_refused(old: str, new: str, why: str, tmp_path: Path) -> None:
    """With the line."""
    from memvirt.workload.batch import Options
    from memvirt.workload.formats import masim
    from memvirt.workload.stream import open_stream

    path = tmp_path / "config"
    path.write_text(MASIM.replace(old, new))
    with open_stream(path) as stream, pytest.raises(TraceError, match=why):
        masim.read(stream, Options())


@pytest.mark.parametrize(
    "content", ["monitoring_start: x\n", "monitoring_start: 5\nmonitoring_end: 3\n", "base_time_absolute: 1\nx y\n"]
)
def test_damon_is_refused(content: str, tmp_path: Path) -> None:
    """In one line."""
    (tmp_path / "a").write_text(content)
    with pytest.raises(TraceError, match=r"a, line \d|has a snapshot"):
        read_visited(tmp_path / "a", 1.0)


def test_they_are_no_workload_of_tlbs(tmp_path: Path) -> None:
    """And it is said what reads them; what is assumed is said by a sweep, too."""
    name = str(DATA / "damon_raw.txt")
    with pytest.raises(TraceError, match="is damon's, which holds a page life, not accesses: workload=pageset"):
        check(Workload(name="trace", path=name))
    done = here("memvirt.sweep", "workload=pageset", f"workload.path={name}", "dry_run=true", "executor=serial", cwd=tmp_path)
    assert done.returncode == 0
    assert f"{name}: holds no writes" in done.stdout + done.stderr


def test_what_no_tlb_looks_up_is_a_page_life(tmp_path: Path) -> None:
    """By cycles, by time, by instructions; and imported all the same."""
    (tmp_path / "a.stl").write_text("0: read 0x1000\n9: write 0x1040\n100: read 0x2000\n2000000: write 0x5000\n")
    (tmp_path / "a.txt").write_bytes(FORMS["perf_script"].write([(n << 12, n > 9) for n in range(1, 20)]))
    (tmp_path / "a.trace").write_text("".join(f"{n % 5 * 1000} {n * 4096}\n" for n in range(1, 30)))
    work = Workload(name="pageset", path=str(tmp_path / "a.stl"), step=0.001)
    assert extents(work) == [(0, 1, 1, 1, 1), (0, 2, 1, 0, 1), (1, 5, 1, 1, 1)]
    assert any("how long a cycle is" in said for said in assumed(work))
    assert extents(Workload(name="pageset", path=str(tmp_path / "a.txt"))) == [(0, 1, 9, 0, 9), (0, 10, 10, 10, 10)]
    assert extents(Workload(name="pageset", path=str(tmp_path / "a.trace"))) == [(0, 1, 29, 0, 29)]
    assert main(["import", str(tmp_path / "a.stl"), "-o", str(tmp_path / "own.parquet")]) == 0
    assert extents(Workload(name="pageset", path=str(tmp_path / "own.parquet"))) == [
        (0, 1, 1, 1, 1),
        (0, 2, 1, 0, 1),
        (0, 5, 1, 1, 1),
    ]


def test_import_as_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table says the same as the file."""
    for name, out in (("damon.json", "a.csv"), ("damon_raw.txt", "a.parquet")):
        assert main(["import", str(DATA / name), "--pages", "--written", "0.5", "-o", str(tmp_path / out)]) == 0
        work = Workload(name="pageset", path=str(tmp_path / out))
        assert extents(work) == extents(Workload(name="pageset", path=str(DATA / name), written=0.5))
    assert main(["info", str(DATA / "damon.json")]) == 0
    assert "2,048 pages of 4K" in capsys.readouterr().out
    for words, said in (
        (["--limit", "3"], "--limit is of accesses"),
        (["--written", "2"], "share"),
        (["--step", "0"], "must be from"),
    ):
        assert main(["import", str(DATA / "damon.json"), "--pages", *words, "-o", str(tmp_path / "b.csv")]) == 2
        assert said in capsys.readouterr().err


def test_tables_are_still_tables(tmp_path: Path) -> None:
    """Told by their columns, and complained of as such."""
    path = tmp_path / "a.csv"
    path.write_text("time,first,page,written,visits\n0,1,1,0,1\n")
    with pytest.raises(TraceError, match="no column pages; did you mean page"):
        Workload(name="pageset", path=str(path))
    with pytest.raises(ConfigError, match=r"workload\.written=2"):
        Workload(name="pageset", path=str(DATA / "damon.json"), written=2)


def test_packing() -> None:
    """Whole regions of 2 MiB, in order, by address space, the upper half of addresses behind the lower."""
    first = np.array([5, 512 * 7 + 3, 512 * 7 + 600, (1 << 52) - 2, 5], np.uint64)
    space, pages = np.array([0, 0, 0, 0, 1]), np.array([1, 512, 1, 2, 1])
    assert pack(space, first, pages).tolist() == [5, 512 + 3, 512 + 600, 4 * 512 - 2, 4 * 512 + 5]


def test_steps_of_accesses() -> None:
    """A page is one visit a step, written if any access writes it; time that goes back by more than a step is refused."""
    from memvirt.workload.batch import Batch

    def batch(pages: list[int], what: list[int], time: list[float]) -> Batch:
        size = len(pages)
        return Batch(
            np.array(pages, np.uint64) << np.uint64(12),
            np.array(what, np.uint8),
            np.ones(size, np.int64),
            lambda index: f"line {index + 1}",
            None,
            np.array(time),
        )

    found = from_accesses(iter([batch([1, 2, 1], [0, 0, 1], [10, 10.5, 11.5]), batch([1, 3], [0, 1], [11.9, 15])]), 1.0)
    rows = list(zip(found.time.tolist(), found.first.tolist(), found.pages.tolist(), found.written.tolist(), strict=True))
    assert rows == [(0, 1, 2, 0), (1, 1, 1, 1), (5, 3, 1, 1)]
    assert isinstance(found, Visited)
    assert as_columns(found, 0.5)["end"][0] == 6
    with pytest.raises(TraceError, match="line 2: is of an earlier step"):
        from_accesses(iter([batch([1, 2], [0, 0], [10, 5])]), 1.0)
