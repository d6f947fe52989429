"""Figures: each kind draws, by the command line too; axes carry names with units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from memvirt.cost import PARTS
from memvirt.drawing.monitor import MEMORY, NAMES, monitor
from memvirt.drawing.style import means
from memvirt.drawing.sweep import left_over, overview
from memvirt.drawing.words import label, spelled
from memvirt.errors import MemvirtError
from memvirt.figures import draw, draw_sweep, kinds, save, save_all
from memvirt.result.choose import of_point, where
from memvirt.result.monitor import SIGNALS
from tests.support import command, here


def results() -> pd.DataFrame:
    """A table like a sweep's."""
    rows = [
        {"mmu": mmu, "tlb": tlb, "overcommit.ratio": ratio, "vm": vm, "status": "ok", "slowdown": 1 + ratio * (2 + vm), "accesses": 100, "walks": 7 * vm + 3}
        | {part: 10.0 * place for place, part in enumerate(PARTS)}
        for mmu in ("native", "nested") for tlb in ("skylake", "zen4") for ratio in (1.0, 1.5, 2.0) for vm in (0, 1)
    ]  # fmt: skip
    return pd.DataFrame([*rows, {**rows[0], "status": "error", "slowdown": np.nan}])


def test_kinds() -> None:
    """Line, bar and heat."""
    assert kinds() == ["bar", "heat", "line"]


@pytest.mark.parametrize(
    ("kind", "x", "y", "hue", "col"),
    [("line", "overcommit.ratio", "slowdown", "mmu", "tlb"), ("line", "overcommit.ratio", "slowdown", None, None), ("bar", "mmu", "walks", "tlb", None),
     ("bar", "mmu", "walks", None, "tlb"), ("heat", "mmu", "tlb", "slowdown", "overcommit.ratio"), (None, "mmu", "slowdown", None, None),
     (None, "overcommit.ratio", "walks", "tlb", None)],
)  # fmt: skip
def test_draw(kind: str | None, x: str, y: str, hue: str | None, col: str | None, tmp_path: Path) -> None:
    """One panel a value of `col`, axes named."""
    figure = draw(results(), kind, x, y, hue, col)
    panels = [axes for axes in figure.axes if axes.get_xlabel() == label(x)]
    assert len(panels) == (results()[col].nunique() if col else 1)
    assert panels[0].get_ylabel() == label(y)
    assert save(figure, tmp_path / "a.png").stat().st_size > 5000


def test_sweep_figures(tmp_path: Path) -> None:
    """Those that a sweep draws of itself, for several shapes of grid."""
    frame = results()
    assert {path.name for path in save_all(draw_sweep(frame, ["mmu", "tlb", "overcommit.ratio"]), tmp_path)} == {
        "slowdown.png", "slowdown.pdf", "cycles.png", "cycles.pdf",
    }  # fmt: skip
    assert draw_sweep(frame[frame["overcommit.ratio"] == 1], ["mmu", "tlb"])
    assert draw_sweep(frame[(frame["mmu"] == "native") & (frame["tlb"] == "zen4")], ["overcommit.ratio"])
    assert draw_sweep(frame.iloc[:2], [])
    with pytest.raises(MemvirtError):
        draw_sweep(frame[frame["status"] == "error"], ["mmu"])


def test_what_has_no_place_in_a_picture() -> None:
    """Beyond an axis, a colour, a dash and panels of few values; keys of one value need none."""
    frame = pd.DataFrame({name: range(9) for name in "abc"} | {"same": 1, "mmu": ["native", "nested", "shadow"] * 3})
    assert left_over(frame, ["a", "b", "c", "same", "mmu"]) == ["b", "c"]
    assert left_over(frame, ["a", "mmu", "same"]) == []


def titles(figure: Any) -> str:
    """What a figure says above its panels."""
    return figure._suptitle.get_text().replace("\n", " ") if figure._suptitle else ""


def page_sizes() -> pd.DataFrame:
    """A sweep in which what a mode costs hangs on the page size."""
    rows = [
        {"mmu": mmu, "guest.page_size": size, "host.page_size": host, "machine": machine, "numa": numa, "overcommit.ratio": ratio, "point_id": f"{mmu}{size}{host}{machine}{numa}{ratio}",
         "replicate": 0, "vm": 0, "status": "ok", "accesses": 100, "slowdown": 1.25 if (mmu, size) == ("nested", "4K") else 1.0} | dict.fromkeys(PARTS, 1.0)
        for mmu in ("native", "nested") for size in ("4K", "2M") for host in ("4K", "2M") for machine in "ab" for numa in "cd" for ratio in (1.0, 2.0)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_an_axis_that_is_not_shown_is_said() -> None:
    """In the title of each of a sweep's figures, and in those of chosen columns; nothing is said where each mark is one row."""
    frame = page_sizes()
    axes = list(frame.columns[: frame.columns.get_loc("point_id")])
    (_, slowdown), (_, cycles) = overview(frame, axes)
    assert "mean over host's page size (4K, 2M); whiskers: least to most" in titles(slowdown)
    assert "guest's page size (4K, 2M)" in titles(cycles)
    one = frame[(frame["host.page_size"] == "4K") & (frame["machine"] == "a") & (frame["numa"] == "c")]
    assert [titles(figure) for _, figure in overview(one, axes)] == ["", ""]
    assert "guest's page size (4K, 2M)" in titles(draw(one, "bar", "mmu", "slowdown"))
    assert "guest's page size (4K, 2M)" in titles(draw(one, "heat", "mmu", "overcommit.ratio", "slowdown"))
    assert titles(draw(one, "bar", "mmu", "slowdown", "guest.page_size", "overcommit.ratio")) == ""


def test_panels_can_be_compared() -> None:
    """They share their y axis, and one without rows isn't drawn; a whisker reaches from the least row to the most."""
    frame = page_sizes()
    axes = list(frame.columns[: frame.columns.get_loc("point_id")])
    constrained = frame[(frame["guest.page_size"] != "4K") | (frame["numa"] != "d")].assign(vm=1)
    constrained["slowdown"] += constrained["overcommit.ratio"]
    for _, figure in overview(constrained, axes):
        assert len({panel.get_ylim() for panel in figure.axes}) == 1
        assert all(panel.lines or panel.patches for panel in figure.axes)
    (_, slowdown), _ = overview(constrained, axes)
    assert len(slowdown.axes) == 3
    found = means(pd.DataFrame({"a": [1, 1, 2], "y": [3.0, 5.0, 4.0]}), ["a"], "y")
    assert found.to_numpy().tolist() == [[1, 4, 3, 5], [2, 4, 4, 4]]


def test_marks_stand_where_their_values_are() -> None:
    """Values over decades have a logarithmic axis; lines that are set apart stay nearer to their value than to the next."""
    frame = results().drop(columns="overcommit.ratio")
    over = [1e3, 3e3, 1e4, 4.5e5]
    wide = pd.concat([frame.assign(**{"workload.remap_every": value}) for value in over])
    for values in (over, [1.0, 1.01, 2.0]):
        frame = wide.assign(
            **{"workload.remap_every": wide["workload.remap_every"].map(dict(zip(over, [*values, 2.0], strict=False)))}
        )
        axes = dict(overview(frame, ["mmu", "tlb", "workload.remap_every"]))["slowdown"].axes[0]
        axes.figure.canvas.draw()
        shown = [line for line in axes.get_lines() if len(line.get_xdata()) == len(values)]
        assert len(shown) == 4
        for line in shown:
            drawn = line.get_transform().transform(line.get_xydata())[:, 0]
            meant = axes.transData.transform(line.get_xydata())[:, 0]
            assert np.abs(drawn - meant).max() <= np.diff(meant).min() / 3
            assert drawn.min() > axes.transAxes.transform((0, 0))[0]


def test_rows_are_chosen(tmp_path: Path) -> None:
    """`--where` and `--point`; a column that an old table lacks is told in one line."""
    frame = page_sizes()
    frame.to_csv(tmp_path / "r.csv", index=False)
    frame.drop(columns="exit_cycles").to_csv(tmp_path / "old.csv", index=False)
    columns = ("--x", "mmu", "--y", "slowdown")
    done = here("memvirt.figures", "r.csv", *columns, "--where", "mmu == 'nested' and overcommit.ratio < 2", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert where(frame, 'mmu == "nested" and overcommit.ratio < 2')["point_id"].tolist() == [
        each for each in frame["point_id"] if each.startswith("nested") and each.endswith("1.0")
    ]
    assert of_point(frame, "native4K4Kac1")["point_id"].tolist() == ["native4K4Kac1.0"]
    for more, why in (
        (["--where", "mmu == 'agile'"], "holds for no row"), (["--where", "mm == 'native'"], "did you mean mmu?"), (["--where", "f(1)"], "is not a condition"),
        (["--point", "native4K"], "16 points begin so"), (["--point", "x"], "is the beginning of no point_id"),
    ):  # fmt: skip
        bad = here("memvirt.figures", "r.csv", *columns, *more, cwd=tmp_path)
        assert bad.returncode == 2
        assert why in bad.stderr
        assert bad.stderr.count("\n") == 1
    with pytest.raises(MemvirtError, match="no column exit_cycles: another version"):
        overview(pd.read_csv(tmp_path / "old.csv"), ["mmu"])
    with pytest.raises(MemvirtError, match="no column"):
        monitor(pd.DataFrame({"epoch": [1], "vm": [0]}))


@pytest.mark.filterwarnings("error")
def test_one_epoch_is_drawn() -> None:
    """A run that is over within an epoch has an axis too."""
    columns = ["stall_ns", *(column for column, _, _ in MEMORY), *(SIGNALS[name].column for name in NAMES)]
    epochs = pd.DataFrame({"epoch": [0], "vm": [0], "thrash": [1], "stalled": [1]} | {column: [1.0] for column in columns})
    assert monitor(epochs).axes[0].get_xlim() == (0, 1)


def test_labels_have_units() -> None:
    """Counts, cycles, times and pages say so."""
    assert label("l2_tlb_misses") == "L2 TLB misses (accesses)"
    assert label("walk_refs_in_llc") == "walk refs in LLC (references)"
    assert "ns" in label("stall_ns")
    assert [spelled(name) for name in ("sata_ssd", "nvme")] == ["SATA SSD", "NVMe"]


def test_command(tmp_path: Path) -> None:
    """`python -m memvirt.figures`."""
    results().to_csv(tmp_path / "r.csv", index=False)
    done = command(
        "memvirt.figures",
        "r.csv",
        "--x",
        "overcommit.ratio",
        "--y",
        "slowdown",
        "--hue",
        "mmu",
        "--col",
        "tlb",
        "-o",
        "f.pdf",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "wrote f.pdf" in done.stdout
    assert (tmp_path / "f.pdf").read_bytes().startswith(b"%PDF")
