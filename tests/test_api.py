"""The Python face: the same points, tables and errors as the command line's, and nothing left behind in the process."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import threading
import tomllib
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbformat
import numpy as np
import pandas as pd
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.version import VersionBase
from nbclient import NotebookClient
from packaging.version import Version

import memvirt
from memvirt.errors import FailedRows
from memvirt.pipeline.point import Point
from tests.support import composed, here
from tests.sweeps import SMALL
from tests.test_errors import CASES

GRID = (*SMALL, "mmu=native,nested", "overcommit.ratio=1,1.6")
NOTEBOOK = Path(__file__).parent.parent / "docs/first_steps.ipynb"


def process_state() -> dict[str, Any]:
    """What holds for the whole process, and would trip up whoever shares it."""
    return {
        "arguments": list(sys.argv),
        "folder": Path.cwd(),
        "environment": {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        "hydra": GlobalHydra.instance().hydra,
        "hydra's version": VersionBase.instance().version_base,
        "matplotlib": dict(mpl.rcParams),
        "ray's log": logging.getLogger("ray").level,
        "random numbers": np.random.get_state()[1].tolist(),
        "threads": {each.name for each in threading.enumerate()} - {"loads-style"},
    }


@pytest.fixture
def unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder to work in; afterwards the process is as it was."""
    import seaborn  # noqa: F401 - registers its colour maps

    GlobalHydra.instance().clear()  # tests/support.py composes through it
    VersionBase.instance().setbase(Version("1.2"))  # another's, which must not be ours afterwards
    monkeypatch.chdir(tmp_path)
    before = process_state()
    yield tmp_path
    assert process_state() == before


def test_importing_is_cheap() -> None:
    """What is heavy is loaded when something is asked for."""
    heavy = "numba", "pandas", "ray", "hydra", "matplotlib", "numpy"
    script = f"import sys, memvirt; assert memvirt.ConfigError and dir(memvirt); print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names() -> None:
    """Each name that is exported is there, documented, and no module's."""
    for name in memvirt.__all__:
        assert getattr(memvirt, name).__doc__
        assert f"memvirt.{name}" not in sys.modules
        assert not (Path(memvirt.__file__).parent / name).exists()
        assert not (Path(memvirt.__file__).parent / f"{name}.py").exists()
    with pytest.raises(AttributeError, match="no attribute 'simulated'"):
        memvirt.simulated  # noqa: B018


def test_make_point() -> None:
    """The point that Hydra would compose; groups may be written with dots; twice is the same."""
    words = (*SMALL, "mmu=nested", "overcommit.ratio=1.6")
    point = memvirt.make_point(*words, "reclaim.replacement=fifo")
    assert point == Point.build(composed(*words, "reclaim/replacement=fifo"))
    assert point == memvirt.make_point(*words, "reclaim.replacement=fifo")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("mmu=native,nested", "mmu=native,nested: a point has one value"),
        ("overcommit.ratio=interval(1,2)", "a point has one value"),
        ("executor=serial", "executor=serial: is a sweep's key"),
        ("--hepl", "--hepl: there is no such flag"),
        ("--config-dir=nowhere", "--config-dir=nowhere: there is no such folder"),
        ("tlb.l1_4k.entires=3", "did you mean tlb.l1_4k.entries?"),
    ],
)
def test_points_that_cannot_be(words: str, said: str, unchanged: Path) -> None:
    """What a point has no use for is refused too."""
    with pytest.raises(memvirt.MemvirtError) as wrong:
        memvirt.make_point(*words.split())
    assert said in str(wrong.value)
    assert len(str(wrong.value).splitlines()) == 1


@pytest.mark.parametrize("words", [each for each in CASES if "executor." not in each and "path=" not in each][::5])
def test_errors_are_the_command_lines(words: str, unchanged: Path) -> None:
    """What the command line would print, as an exception of memvirt's own."""
    given = [*words.split(), "executor=serial"]
    with pytest.raises(memvirt.MemvirtError) as wrong:
        memvirt.run_sweep(*given)
    assert CASES[words] in str(wrong.value)
    assert here("memvirt.sweep", *given, cwd=unchanged).stderr == f"memvirt.sweep: {wrong.value}\n"


def test_simulate_is_a_row_of_the_sweep(unchanged: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Point by point what the table has; nothing is printed; a second sweep of that name in the same process is the same."""
    swept = memvirt.run_sweep(*GRID, name="grid", executor="serial")
    assert capfd.readouterr() == ("", "")
    assert swept.folder == Path("outputs/grid")
    assert len(swept.results) == 8
    assert len(swept.plan) == 4
    assert set(swept.epochs["point_id"]) == set(swept.results["point_id"])
    assert swept.provenance["overrides"][-1] == "overcommit.ratio=1,1.6"
    pd.testing.assert_frame_equal(memvirt.read("outputs/grid").results, swept.results)

    alone = memvirt.simulate(*SMALL, "mmu=nested", "overcommit.ratio=1.6")
    mine = swept.results[(swept.results["mmu"] == "nested") & (swept.results["overcommit.ratio"] == 1.6)]
    pd.testing.assert_frame_equal(
        alone.vms, mine[list(alone.vms.columns)].reset_index(drop=True), check_exact=True, check_dtype=False
    )
    assert alone.walks["references"].sum() == alone.vms[["walk_refs_guest", "walk_refs_host"]].sum().sum()
    assert len(alone.epochs) == 2

    again = memvirt.run_sweep(*GRID, name="again", executor="serial", quiet=False)
    said = capfd.readouterr()
    assert "4 points, 8 rows, 0 failed" in said.out
    assert "writing to outputs/again" in said.err
    pd.testing.assert_frame_equal(again.results, swept.results, check_exact=True)


def test_rows_that_fail(unchanged: Path) -> None:
    """They are in the table; `fail_on_error` makes them an exception when it is complete."""
    words = (*SMALL, "reclaim=none", "overcommit.ratio=1,1.5")
    assert list(memvirt.run_sweep(*words, name="some", executor="serial").results["status"]) == ["ok", "ok", "error", "error"]
    with pytest.raises(FailedRows, match="2 rows failed"):
        memvirt.run_sweep(*words, "fail_on_error=true", name="all", executor="serial")
    assert len(memvirt.read("outputs/all").results) == 4
    with pytest.raises(memvirt.CapacityError, match="host is full"):
        memvirt.simulate(*SMALL, "reclaim=none", "overcommit.ratio=1.5")
    with pytest.raises(memvirt.MemvirtError, match="is no sweep"):
        memvirt.read("outputs")
    with pytest.raises(memvirt.ConfigError, match="given twice"):
        memvirt.run_sweep(*words, "name=one", name="two")


def test_draw(unchanged: Path) -> None:
    """A figure that a notebook can show; the same errors as the command's; matplotlib stays as it was."""
    frame = pd.DataFrame({"x": [1, 2, 1, 2], "y": [1.0, 2.0, 3.0, 4.0], "who": ["a", "a", "b", "b"]})
    figure = memvirt.draw(frame, x="x", y="y", hue="who")
    assert figure._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(memvirt.ConfigError, match="no such column"):
        memvirt.draw(frame, x="x", y="z")


def test_steps(unchanged: Path) -> None:
    """The memory room, a few accesses at a time, ends where it does in one go; frames are never lost."""
    words = ("workload=zipf", "workload.accesses=6000", "workload.footprint=2MiB", "mmu=nested", "overcommit.ratio=1.6")
    seen = list(memvirt.steps(*words, accesses=500))
    assert len(seen) == 13
    assert [each.accesses for each in seen] == [500 * place for place in range(13)]
    total = {each.free_frames + int(each.vms["resident_pages"].sum()) for each in seen}
    assert len(total) == 1
    last, whole = seen[-1].vms.iloc[0], memvirt.simulate(*words).vms.iloc[0]
    for name in ("accesses", "instructions", "minor_faults", "major_faults", "swap_out_pages"):
        assert last[name] == whole[name], name
    with pytest.raises(memvirt.ConfigError, match="accesses=0"):
        memvirt.steps(*words, accesses=0)


def test_ray_twice(unchanged: Path) -> None:
    """Ray's workers start and stop with each sweep, also in a thread that isn't the main one, and after one that was refused."""
    with pytest.raises(memvirt.MemvirtError, match="has no balloon"):
        memvirt.run_sweep("mmu=native", "reclaim=balloon", "overcommit.ratio=1.5")
    first = memvirt.run_sweep(*GRID, "executor.workers=1", name="first", executor="ray")
    found: list[pd.DataFrame] = []
    thread = threading.Thread(
        target=lambda: found.append(memvirt.run_sweep(*GRID, "executor.workers=1", "reuse=false", name="second").results)
    )
    thread.start()
    thread.join(300)
    pd.testing.assert_frame_equal(found[0], first.results, check_exact=True)


def test_notebook(tmp_path: Path) -> None:
    """The notebook of the docs runs from top to bottom, and shows its pictures."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=400, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in shown) == 2
    assert any("did you mean nested?" in output.get("text", "") for output in shown)
    assert not [output for output in shown if output.output_type == "stream" and output.name == "stderr"]


def test_example_of_the_docs(unchanged: Path) -> None:
    """The page on Python's example runs, over fewer accesses."""
    text = (Path(__file__).parent.parent / "docs/from_python.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    small = ", ".join(map(repr, SMALL))
    found: dict[str, Any] = {}
    exec(block.replace('"workload=zipf"', small), found)
    assert len(found["swept"].results) == 8
    assert len(found["result"].vms) == 2


def test_commands(tmp_path: Path) -> None:
    """`python -m memvirt` lists the commands and runs each."""
    from memvirt.__main__ import main
    from memvirt.command import COMMANDS

    listed = subprocess.run([sys.executable, "-m", "memvirt"], cwd=tmp_path, capture_output=True, text=True)
    assert listed.returncode == 0
    assert all(f"  {name} " in listed.stdout for name in COMMANDS)
    (script,) = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]["scripts"].items()
    assert script == ("memvirt", "memvirt.__main__:script")
    assert main(["swep"]) == 2
    assert main(["trace", "info", str(tmp_path / "none.parquet")]) == 2
    for name in COMMANDS:
        try:
            assert main([name, "--help"]) == 0
        except SystemExit as ended:  # argparse's way
            assert ended.code in (0, None)


def test_drawing_settings_are_left_alone_where_matplotlib_comes_with_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep without figures doesn't load it; one with them leaves its settings as a file or their defaults have them."""
    from memvirt import api

    before = dict(mpl.rcParams)
    monkeypatch.delitem(sys.modules, "matplotlib")
    with api._own_drawing_settings():
        assert "matplotlib" not in sys.modules
        monkeypatch.setitem(sys.modules, "matplotlib", mpl)
        mpl.rcParams["axes.grid"] = not mpl.rcParams["axes.grid"]
    assert mpl.rcParams["axes.grid"] is mpl.rcParamsDefault["axes.grid"]
    mpl.rcParams.update(before)
