"""Studies: what they conclude of functions whose answer is known, that they refuse what they can't conclude, and that they resume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from memvirt.drawing.sensitivity import bars, history, screen
from memvirt.sweep.plan.plan import Plan
from memvirt.sweep.study import Incomplete, Study, safe_overcommit, search, sensitivity
from tests.support import here, sweep
from tests.sweeps import called, table

X, Y, Z = "overcommit.ratio", "cpu.memory", "clock.minor_fault"
INTERVALS = (f"{X}=interval(1,2)", f"{Y}=interval(100,300)", f"{Z}=interval(0,1000)")


class Known:
    """Stands in for a study: points have the value that a function gives for their varied keys."""

    def __init__(self, function: Callable[[dict[str, Any]], float]) -> None:
        self.function = function
        self.values: dict[str, float] = {}
        self.tables: dict[str, pd.DataFrame] = {}
        self.said: list[str] = []
        self.figures: list[str] = []
        self.evaluated: list[int] = []
        self.draws_itself = False

    def evaluate(self, plan: Plan, title: str = "") -> list[str]:
        """Names of a plan's points, each with its value."""
        names = [str(plan.varied(number)) for number in range(len(plan))]
        self.values.update({name: self.function(plan.varied(number)) for number, name in enumerate(names)})
        self.evaluated.append(len(plan))
        return names

    def outcomes(self, ids: list[str], columns: list[str], over_vms: str) -> pd.DataFrame:
        """Their values, in every column."""
        return pd.DataFrame({column: [self.values[name] for name in ids] for column in columns})

    def write(self, frame: pd.DataFrame, name: str) -> None:
        """Keep a table."""
        self.tables[name] = frame

    def save(self, figure: object, name: str) -> None:
        """Note a figure."""
        self.figures.append(name)


def test_sensitivity_of_a_known_function() -> None:
    """3x + y, the share of the variance of x being 9/10 and that of y 1/10: z is screened out, the indices are within their intervals."""
    call = called("study=sensitivity", "study.points=512", *INTERVALS, "mmu=native,nested")
    study = Known(lambda v: (3 * (v[X] - 1) + (v[Y] - 100) / 200) * (2 if v["mmu"] == "nested" else 1))
    sensitivity.make(call).run(study)  # type: ignore[arg-type]
    morris = study.tables["morris.csv"].set_index(["mmu", "parameter"])
    assert np.allclose(morris.loc["native", "mu_star"].loc[[X, Y, Z]], [3, 1, 0], atol=1e-9)
    assert np.allclose(morris.loc["nested", "mu_star"].loc[[X, Y, Z]], [6, 2, 0], atol=1e-9)
    assert np.allclose(morris["sigma"], 0, atol=1e-9)
    sobol = study.tables["sobol.csv"].set_index(["mmu", "parameter"])
    for mmu in ("native", "nested"):
        part = sobol.loc[mmu]
        assert list(part.index) == [X, Y]
        for name, share in ((X, 0.9), (Y, 0.1)):
            for index in ("S1", "ST"):
                assert abs(part.loc[name, index] - share) < max(2 * part.loc[name, f"{index}_conf"], 0.01)
    assert study.evaluated == [2 * 16 * 4, 2 * 512 * 4]
    assert study.figures == ["morris", "sobol"]
    assert study.said[0] == f"Morris: {X}, {Y} matter; held at their middle: {Z}"


def test_sensitivity_of_an_interaction() -> None:
    """x·y over a symmetric square has no first-order share, all of it is interaction: S1 = 0, ST = 1; Morris sees sigma, not mu."""
    call = called("study=sensitivity", "study.points=1024", "study.levels=8", "study.trajectories=64", *INTERVALS[:2])
    study = Known(lambda v: (v[X] - 1.5) * (v[Y] - 200))
    sensitivity.make(call).run(study)  # type: ignore[arg-type]
    sobol = study.tables["sobol.csv"].set_index("parameter")
    assert np.allclose(sobol["S1"], 0, atol=0.06)
    assert np.allclose(sobol["ST"], 1, atol=0.1)
    morris = study.tables["morris.csv"]
    assert (morris["sigma"] > 2 * morris["mu"].abs()).all()


def test_a_constant_has_no_indices() -> None:
    """It is said, and no number is made up."""
    study = Known(lambda v: 1.0)
    sensitivity.make(called("study=sensitivity", "study.points=8", *INTERVALS)).run(study)  # type: ignore[arg-type]
    assert study.tables["sobol.csv"]["S1"].isna().all()
    assert any("is constant" in line for line in study.said)


def test_an_incomplete_design_is_refused() -> None:
    """One missing number among hundreds."""
    study = Known(lambda v: np.nan if v[X] == 2 and v[Y] == 300 and v[Z] == 1000 else v[X])
    with pytest.raises(Incomplete, match="would make every index wrong"):
        sensitivity.make(called("study=sensitivity", "study.trajectories=60", *INTERVALS)).run(study)  # type: ignore[arg-type]
    assert "sobol.csv" not in study.tables


def test_search_of_a_known_function() -> None:
    """Near the least of a valley, on the allowed side of a condition; the same seed asks for the same designs."""
    call = called(
        "study=search",
        "study.trials=60",
        'study.subject_to=["overcommit.ratio >= 1.5"]',
        "mmu=native,shadow,nested",
        X + "=interval(1,2)",
    )

    def valley(varied: dict[str, Any]) -> float:
        return (varied[X] - 1.2) ** 2 + {"native": 0.3, "shadow": 0.0, "nested": 0.6}[varied["mmu"]]

    tables = []
    for _ in range(2):
        study = Known(valley)
        search.make(call).run(study)  # type: ignore[arg-type]
        tables.append(study.tables["search.csv"])
    pd.testing.assert_frame_equal(*tables)
    trials = tables[0]
    assert len(trials) == 60
    assert (trials["feasible"] == (trials[X] >= 1.5)).all()
    best = trials[trials["feasible"]].sort_values("slowdown").iloc[0]
    assert best["mmu"] == "shadow"
    assert 1.5 <= best[X] < 1.55
    assert trials["best so far"].dropna().is_monotonic_decreasing
    assert "best of 60 designs" in study.said[0]


def test_search_without_a_feasible_design() -> None:
    """Is told as such; designs that failed are no trials to learn from."""
    call = called("study=search", "study.trials=5", 'study.subject_to=["walks < 0"]', "mmu=native,nested")
    with pytest.raises(Incomplete, match="none of 2 designs"):
        search.make(call).run(Known(lambda v: 1.0))  # type: ignore[arg-type]
    with pytest.raises(Incomplete, match="none of 2 designs"):
        search.make(called("study=search", "study.trials=5", "mmu=native,nested")).run(Known(lambda v: np.nan))  # type: ignore[arg-type]


def test_search_never_asks_for_a_known_design() -> None:
    """Fewer designs than trials: each of them once, so that the best is found; more: as many as trials, no two alike."""
    worth = {("native", 1): 3.0, ("native", 2): 2.0, ("nested", 1): 1.0, ("nested", 2): 4.0}
    call = called("study=search", "study.trials=9", "study.batch=3", "mmu=native,nested", f"{X}=1,2")
    study = Known(lambda varied: worth[varied["mmu"], varied[X]])
    search.make(call).run(study)  # type: ignore[arg-type]
    trials = study.tables["search.csv"]
    assert len(trials) == len(trials.drop_duplicates(["mmu", X])) == 4
    assert "best of 4 designs: slowdown 1 " in study.said[0]
    assert "mmu=nested" in study.said[0]
    call = called("study=search", "study.trials=12", "mmu=native,nested", "workload.seed=int(interval(1,7))")
    study = Known(lambda varied: 1.0)
    search.make(call).run(study)  # type: ignore[arg-type]
    trials = study.tables["search.csv"]
    assert len(trials) == len(trials.drop_duplicates(["mmu", "workload.seed"])) == 12
    assert list(trials["trial"]) == list(range(12))


def test_studies_end_to_end(tmp_path: Path) -> None:
    """Through the command line: tables, figures, nothing to compute on a resume, the same answer."""
    small = ["workload.accesses=3000", "workload.footprint=16MiB", "executor=serial"]
    words = ["experiment=sensitivity", "study.points=4", "study.trajectories=2", "study.resamples=20", *small, "name=s"]
    sweep(*words, cwd=tmp_path, pictures=True)
    folder = tmp_path / "outputs/s"
    first = [(folder / name).read_text() for name in ("morris.csv", "sobol.csv")]
    assert len(pd.read_csv(folder / "morris.csv")) == 3 * 6
    assert {"morris.png", "sobol.pdf"} <= {path.name for path in (folder / "figures").iterdir()}
    rows = pd.read_parquet(folder / "plan-1.parquet")
    assert len(rows) == 3 * 2 * 7
    assert set(rows["point_id"]) <= set(table(folder)["point_id"])
    again = sweep(*words, "resume=true", cwd=tmp_path)
    assert "nothing to compute" in again.stdout
    assert first == [(folder / name).read_text() for name in ("morris.csv", "sobol.csv")]
    words = ["experiment=search", "study.trials=6", "study.batch=3", "reclaim.replacement=lru,fifo", *small, "name=f"]
    done = sweep(*words, cwd=tmp_path)
    assert "best of 6 designs: slowdown" in done.stdout
    trials = (tmp_path / "outputs/f/search.csv").read_text()
    assert "nothing to compute" in sweep(*words, "resume=true", cwd=tmp_path).stdout
    assert trials == (tmp_path / "outputs/f/search.csv").read_text()
    bad = here(
        "memvirt.sweep",
        "study=sensitivity",
        "overcommit.ratio=interval(1,1.5)",
        "reclaim=none",
        "workload=zipf",
        *small[:1],
        "workload.footprint=1MiB",
        "executor=serial",
        "name=b",
        cwd=tmp_path,
    )
    assert bad.returncode == 2
    assert "would make every index wrong" in bad.stderr
    assert "Traceback" not in bad.stderr


def test_columns_decide_what_is_simulated() -> None:
    """What happens to memory needs no walks; what a VM takes does, unless it has a page life and nothing is said of translation."""

    def detail(kind: Any, *words: str) -> object:
        return kind.make(called(*words)).plan.point(0)[0].workload.detail

    of_column = ("study=sensitivity", "workload=zipf", *INTERVALS)
    assert detail(sensitivity, *of_column, "study.column=pressure") == "none"
    assert detail(sensitivity, *of_column, "study.column=slowdown") is None
    searched = ("study=search", "workload=zipf", f"{X}=1,2")
    assert detail(search, *searched, "study.minimize=stall_ns") == "none"
    assert detail(search, *searched, "study.minimize=stall_ns", 'study.subject_to=["walks<9"]') is None
    safe = ("study=safe_overcommit", "reclaim=swap", "vms.scale=64")
    assert detail(safe_overcommit, *safe, "workload=web_server") == "none"
    assert detail(safe_overcommit, *safe, "workload=web_server", "mmu=native,nested") is None
    assert detail(safe_overcommit, *safe, "workload=web_server", "workload.detail=zipf") == "zipf"
    assert detail(safe_overcommit, *safe, "workload=zipf") is None


def test_dry_run(tmp_path: Path) -> None:
    """The plan, its distinct stages and an estimate; nothing is written."""
    words = ["workload=zipf", "workload.accesses=100000", "mmu=native,nested", "cpu.memory=range(100,200,10)", "dry_run=true"]
    done = sweep(*words, "plan.constraints=[\"mmu=='native' or cpu.memory<150\"]", cwd=tmp_path)
    assert "plan grid: 15 points" in done.stdout
    assert "5 points dropped" in done.stdout
    lines = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.split()}
    assert lines["memory"][1:3] == ["30", "3"]
    assert lines["cost"][1:3] == ["30", "25"]
    assert "CPU-s" in done.stdout
    assert "MiB" in done.stdout
    assert not (tmp_path / "outputs").exists()


def test_figures_can_be_left_out() -> None:
    """With `figures=false` a study's own as well."""
    mine: Any = SimpleNamespace(call=SimpleNamespace(settings=SimpleNamespace(figures=False)), written=[])
    Study.save(mine, None, "search")  # draws nothing, so that it needs no figure
    assert mine.written == []


def test_figures() -> None:
    """A panel for each combination, every parameter named."""
    rows = [
        {"mmu": mmu, "tlb": tlb, "parameter": name, "mu_star": 1.0, "mu_star_conf": 0.1, "sigma": 0.5,
         "S1": 0.2, "S1_conf": 0.1, "ST": 0.4, "ST_conf": 0.1}
        for mmu in ("native", "nested") for tlb in ("zen4", "skylake") for name in ("a", "b", "c")
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    for draw in (screen, bars):
        assert len([axes for axes in draw(frame, ["mmu", "tlb"], "slowdown").axes if axes.get_visible()]) == 4
        assert len(draw(frame[frame["tlb"] == "zen4"], ["mmu"], "slowdown").axes) == 2
        assert len(draw(frame.iloc[:3], [], "slowdown").axes) == 1
    trials = pd.DataFrame({"trial": [0, 1], "slowdown": [2.0, 1.5], "feasible": [False, True], "best so far": [np.nan, 1.5]})
    assert len(history(trials, "slowdown", "max").axes) == 1
