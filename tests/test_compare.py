"""Two sweeps side by side: rows matched by what was varied, what differs, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from memvirt.compare import compare
from memvirt.errors import ConfigError, MemvirtError
from tests.support import here


def folder(place: Path, rows: list[dict[str, Any]], **config: Any) -> Path:
    """A sweep's folder with a table and what it says of its config."""
    place.mkdir()
    whole = [
        {**row, "point_id": f"{place.name}{number}", "replicate": 0, "vm": 0, "status": "ok", "error": None}
        for number, row in enumerate(rows)
    ]
    frame = pd.DataFrame(whole)
    keys = [name for name in rows[0] if name in ("mmu", "overcommit.ratio")]
    about = ["point_id", "replicate", "vm", "status", "error"]
    frame[[*keys, *about, *(name for name in rows[0] if name not in keys)]].to_parquet(place / "results.parquet")
    (place / "provenance.json").write_text(json.dumps({"config": config, "overrides": []}))
    return place


def grid(cycles: float = 100.0) -> list[dict[str, Any]]:
    return [
        {"mmu": mmu, "overcommit.ratio": ratio, "walks": 7, "cycles": cycles * ratio, "refs_per_walk": "24:7"}
        for mmu in ("native", "nested")
        for ratio in (1.0, 1.5)
    ]


def test_the_same_in_another_order(tmp_path: Path) -> None:
    """Identities of points, the rows' order and where a number is written as a whole one are no difference."""
    first = folder(tmp_path / "a", grid())
    second = folder(tmp_path / "b", [{**row, "walks": 7.0} for row in grid()[::-1]])
    found = compare(first, second)
    assert found.same
    assert (found.matched, found.keys) == (4, ["mmu", "overcommit.ratio", "replicate", "vm"])
    assert here("memvirt.compare", "a", "b", cwd=tmp_path).returncode == 0


def test_what_differs(tmp_path: Path) -> None:
    """Columns with the largest difference first, configs, rows of one alone; within a tolerance nothing does."""
    first = folder(tmp_path / "a", grid(), cpu={"memory": 200, "l2": 14})
    changed = grid()
    changed[1]["cycles"] *= 1.02
    changed[3] |= {"cycles": 75.0, "refs_per_walk": "23:7"}
    second = folder(tmp_path / "b", changed, cpu={"memory": 300, "l2": 14})
    found = compare(first, second)
    assert [(each.column, each.rows, each.first, each.second) for each in found.columns] == [
        ("refs_per_walk", 1, "24:7", "23:7"),
        ("cycles", 2, 150.0, 75.0),
    ]
    assert found.columns[1].largest == 0.5
    assert found.columns[1].where == "mmu=nested, overcommit.ratio=1.5, replicate=0, vm=0"
    assert found.config == [("cpu.memory", 200, 300)]
    assert compare(first, second, 0.03, ["cycles"]).columns[0].rows == 1
    assert compare(first, second, 0.5, ["cycles"]).same
    done = here("memvirt.compare", "a", "b", cwd=tmp_path)
    assert done.returncode == 1
    assert "configs differ in cpu.memory: 200 in A, 300 in B" in done.stdout
    assert "2 columns differ" in done.stdout


def test_what_one_has_fixed(tmp_path: Path) -> None:
    """A key that one alone varies is the other's config's; a row without its like is told."""
    first = folder(tmp_path / "a", grid())
    one = [{name: value for name, value in row.items() if name != "mmu"} for row in grid()[2:]]
    second = folder(tmp_path / "b", one, mmu={"name": "nested"})
    found = compare(first, second)
    assert (found.matched, found.columns, found.only[1]) == (2, [], [])
    assert found.only[0] == [
        "mmu=native, overcommit.ratio=1, replicate=0, vm=0",
        "mmu=native, overcommit.ratio=1.5, replicate=0, vm=0",
    ]
    assert not found.same
    third = folder(tmp_path / "c", one)
    with pytest.raises(MemvirtError, match="neither varies mmu nor says what it was"):
        compare(first, third)
    with pytest.raises(ConfigError, match="did you mean cycles"):
        compare(first, second, 0.0, ["cycle"])
    bad = here("memvirt.compare", "a", "b", "--tolerance", "x", cwd=tmp_path)
    assert bad.returncode == 2
    assert "must be a share" in bad.stderr
