"""Figures: each kind draws, by the command line too; axes carry names with units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from memvirt.cost import PARTS
from memvirt.drawing.style import label
from memvirt.drawing.sweep import left_over
from memvirt.errors import MemvirtError
from memvirt.figures import draw, draw_sweep, kinds, save
from tests.support import command


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
    assert {path.name for path in draw_sweep(frame, ["mmu", "tlb", "overcommit.ratio"], tmp_path)} == {
        "slowdown.png", "slowdown.pdf", "cycles.png", "cycles.pdf",
    }  # fmt: skip
    assert draw_sweep(frame[frame["overcommit.ratio"] == 1], ["mmu", "tlb"], tmp_path)
    assert draw_sweep(frame[(frame["mmu"] == "native") & (frame["tlb"] == "zen4")], ["overcommit.ratio"], tmp_path)
    assert draw_sweep(frame.iloc[:2], [], tmp_path)
    with pytest.raises(MemvirtError):
        draw_sweep(frame[frame["status"] == "error"], ["mmu"], tmp_path)


def test_what_has_no_place_in_a_picture() -> None:
    """Beyond an axis, a colour, a dash and panels of few values; keys of one value need none."""
    frame = pd.DataFrame({name: range(9) for name in "abc"} | {"same": 1, "mmu": ["native", "nested", "shadow"] * 3})
    assert left_over(frame, ["a", "b", "c", "same", "mmu"]) == ["b", "c"]
    assert left_over(frame, ["a", "mmu", "same"]) == []


def test_labels_have_units() -> None:
    """Counts, cycles, times and pages say so."""
    assert label("l2_tlb_misses") == "l2 tlb misses (count)"
    assert label("walk_refs_in_llc") == "walk refs in llc (count)"
    assert "ns" in label("stall_ns")


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
