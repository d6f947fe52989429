"""Which points a sweep has: every kind of plan, constraints, replicates."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from memvirt.constraint import Constraint
from memvirt.errors import ConfigError
from memvirt.policy import names
from memvirt.sweep.plan.axes import Axis, Interval, parse_value
from memvirt.sweep.plan.choices import Grid, Rows, Some
from memvirt.sweep.plan.sections import replicate_seed
from tests.support import sweep
from tests.sweeps import SMALL, engine_rows, planned, table

NUMBERS = ("overcommit.ratio=interval(1,2)", "clock.quantum=int(interval(1,4))", "cpu.memory=tag(log,interval(10,1000))")


@given(st.lists(st.integers(1, 5), max_size=4))
def test_a_grid_is_a_product(counts: list[int]) -> None:
    """Row by row and column by column, though it isn't written down."""
    grid = Grid(counts)
    rows = list(itertools.product(*map(range, counts)))
    assert [grid[row] for row in range(len(grid))] == rows
    if counts:
        assert np.array_equal(grid.columns(range(len(counts))), np.array(rows))
        odd = np.arange(0, len(grid), 2)
        some = Some(grid, odd)
        assert [some[row] for row in range(len(some))] == rows[::2]
        assert np.array_equal(some.columns([0]), Rows(np.array(rows)).columns([0])[::2])


@given(st.integers(-5, 5), st.integers(1, 9), st.floats(0, 1))
def test_intervals(low: int, width: int, share: float) -> None:
    """Whole numbers include both ends, each as likely; others stay between them; a logarithm is even in the logarithm."""
    one = np.array([share])
    whole = Interval(low, low + width, True, False)
    assert low <= int(whole.at(one)[0]) <= low + width
    every = whole.at((np.arange(1000 * (width + 1)) + 0.5) / (1000 * (width + 1)))
    assert set(np.bincount(every - low)) == {1000}
    assert low <= float(Interval(low, low + width, False, False).at(one)[0]) <= low + width
    log = float(Interval(10.0, 1000.0, False, True).at(one)[0])
    assert math.isclose(math.log10(log), 1 + 2 * share, abs_tol=1e-9)
    assert set(Interval(1, 1 + width, True, True).at(np.linspace(0, 1, 999)).tolist()) == set(range(1, 2 + width))


@pytest.mark.parametrize("kind", ["random", "lhs", "sobol"])
def test_drawn_designs(kind: str) -> None:
    """As many points as asked for, each axis within its values, the same for the same seed and others for another."""
    words = (*SMALL, f"plan={kind}", "plan.points=64", "mmu=native,shadow,nested", *NUMBERS)
    plan = planned(*words)
    rows = pd.DataFrame([plan.varied(number) for number in range(len(plan))])
    assert len(rows) == 64
    assert set(rows["mmu"]) == {"native", "shadow", "nested"}
    assert set(rows["clock.quantum"]) == {1, 2, 3, 4}
    assert rows["overcommit.ratio"].between(1, 2).all()
    assert rows["cpu.memory"].between(10, 1000).all()
    assert 0.3 < (rows["cpu.memory"] < 100).mean() < 0.7
    if kind != "random":  # one point in each of 64 parts, or of 8 at the least
        assert set(np.floor((rows["overcommit.ratio"] - 1) * 8)) == set(range(8))
        assert rows["mmu"].value_counts().max() <= 24
    again = planned(*words)
    assert [again.point(n)[1] for n in range(64)] == [plan.point(n)[1] for n in range(64)]
    other = planned(*words, "plan.seed=1")
    assert [other.varied(n) for n in range(64)] != [plan.varied(n) for n in range(64)]
    assert plan.point(5)[0].overcommit.ratio == plan.varied(5)["overcommit.ratio"]


def test_zip() -> None:
    """Value by value; lengths that differ are refused."""
    plan = planned(*SMALL, "plan=zip", "mmu=native,nested", "overcommit.ratio=1,1.5")
    assert [plan.varied(n) for n in range(len(plan))] == [
        {"mmu": "native", "overcommit.ratio": 1}, {"mmu": "nested", "overcommit.ratio": 1.5},
    ]  # fmt: skip
    with pytest.raises(ConfigError, match=r"overcommit.ratio=1,2,3: plan=zip pairs values: it has 3 of them, mmu has 2"):
        planned(*SMALL, "plan=zip", "mmu=native,nested", "overcommit.ratio=1,2,3")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_list(suffix: str, tmp_path: Path) -> None:
    """The rows of a table, groups by option, values as the command line writes them."""
    frame = pd.DataFrame({"mmu": ["nested", "native"], "tlb.replacement": ["lru", "fifo"], "overcommit.ratio": [1.5, 1.0]})
    path = tmp_path / f"points.{suffix}"
    _ = frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    plan = planned(*SMALL, "plan=list", f"plan.path={path}")
    assert [plan.varied(n) for n in range(len(plan))] == frame.to_dict("records")
    point = plan.point(1)[0]
    assert (point.mmu.name, point.tlb.replacement.name, point.overcommit.ratio) == ("native", "fifo", 1.0)
    path.write_bytes(b"\xff\xfe nonsense")
    with pytest.raises(ConfigError, match=r"plan.path"):
        planned(*SMALL, "plan=list", f"plan.path={path}")
    with pytest.raises(ConfigError, match=r"give it one value"):
        planned(*SMALL, "plan=list", f"plan.path={path}", "mmu=native,nested")


def test_morris_and_saltelli() -> None:
    """A study for each combination of the other axes, of the same rows; steps of one parameter; the number of rows that theory says."""
    plan = planned(*SMALL, "plan=morris", "plan.trajectories=5", "plan.levels=4", "mmu=native,nested", *NUMBERS)
    assert len(plan) == 2 * 5 * (3 + 1)
    assert plan.coordinates is not None
    assert np.array_equal(plan.coordinates[:20, 1:], plan.coordinates[20:, 1:])
    assert np.isnan(plan.coordinates[:, 0]).all()
    steps = np.diff(plan.coordinates[:20, 1:].reshape(5, 4, 3), axis=1)
    assert ((np.abs(steps) > 1e-9).sum(axis=2) == 1).all()
    assert np.allclose(np.abs(steps).max(axis=2), 2 / 3)
    plan = planned(*SMALL, "plan=saltelli", "plan.points=8", "mmu=native,nested", *NUMBERS)
    assert len(plan) == 2 * 8 * (3 + 2)
    with pytest.raises(ConfigError, match="power of two"):
        planned(*SMALL, "plan=saltelli", "plan.points=9", *NUMBERS)
    with pytest.raises(ConfigError, match="at least one interval"):
        planned(*SMALL, "plan=morris", "mmu=native,nested")


def test_every_kind_has_an_option() -> None:
    """One file and one YAML file each."""
    conf = Path(__file__).parent.parent / "memvirt/conf"
    for family, group in (("sweep.design", "plan"), ("sweep.study", "study")):
        assert names(family) == sorted(path.stem for path in (conf / group).glob("*.yaml"))


VALUES = {"mmu": ["native", "shadow", "nested"], "overcommit.ratio": [1, 1.5, 2], "guest.page_size": ["4K", "2M"]}
CONDITIONS = [
    "mmu != 'native' or overcommit.ratio < 2",
    "guest.page_size == '4K'",
    "mmu in ('native', 'nested') and not overcommit.ratio == 1.5",
    "overcommit.ratio * 2 >= 3 or guest.page_size == host.page_size",
    "vms.count == 2",
    "mmu.pwc.enabled or mmu == 'native'",
    "tlb == 'skylake' and tlb.l2.entries > 1000",
]


@settings(max_examples=6, deadline=None)
@given(st.lists(st.sampled_from(CONDITIONS), min_size=1, max_size=3, unique=True))
def test_constraints_are_what_python_says(conditions: list[str]) -> None:
    """Points are dropped exactly where a condition doesn't hold, and counted where the first one doesn't."""
    quoted = "[" + ",".join(f'"{each}"' for each in conditions) + "]"
    try:
        plan = planned(
            *SMALL, *(f"{key}={','.join(map(str, values))}" for key, values in VALUES.items()), f"plan.constraints={quoted}"
        )
    except ConfigError as wrong:
        assert "rule out all" in str(wrong)
        plan = None
    left, dropped = [], dict.fromkeys(conditions, 0)
    for values in itertools.product(*VALUES.values()):
        varied = dict(zip(VALUES, values, strict=True))
        known = {
            **varied,
            "host.page_size": "4K",
            "vms.count": 2,
            "mmu.pwc.enabled": True,
            "tlb": "skylake",
            "tlb.l2.entries": 1536,
        }
        for condition in conditions:
            text = condition
            for key in sorted(known, key=len, reverse=True):
                text = text.replace(f"{key} ", f"{known[key]!r} ").replace(f"= {key}", f"= {known[key]!r}")
            if not eval(text):
                dropped[condition] += 1
                break
        else:
            left.append(varied)
    if plan is None:
        assert not left
    else:
        assert [plan.varied(n) for n in range(len(plan))] == left
        assert plan.dropped == dropped


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mmu ==", "is not a condition"),
        ("__import__('os')", "Call can't stand in it"),
        ("[x for x in mmu]", "can't stand in it"),
        ("mmu == native", "there is no such key"),
        ("overcommit.ratioo < 2", "there is no such key"),
        ("mmu < 2", "can't be told where mmu is 'native'"),
    ],
)
def test_bad_constraints(text: str, said: str) -> None:
    """One line that says why; nothing is ever called."""
    with pytest.raises(ConfigError, match=r"plan.constraints") as wrong:
        planned(*SMALL, "mmu=native,nested", f'plan.constraints=["{text}"]')
    assert said in str(wrong.value)


def test_constraint_constants() -> None:
    """YAML's words stand for Python's."""
    assert Constraint("a.b == null and c == true").holds({"a.b": None, "c": True}.__getitem__)


def test_replicates(tmp_path: Path) -> None:
    """Other seeds each time, the same for every design; the first is the point as it stands."""
    words = [*SMALL, "mmu=native,nested", "executor=serial"]
    sweep(*words, "name=one", cwd=tmp_path)
    sweep(*words, "replicates=3", "name=three", cwd=tmp_path)
    one, three = table(tmp_path / "outputs/one"), table(tmp_path / "outputs/three")
    assert sorted(three["replicate"].unique()) == [0, 1, 2]
    first = three[three["replicate"] == 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, one)
    for _, part in three.groupby("mmu"):
        assert part.groupby("vm")["l1_tlb_misses"].nunique().min() == 3
    plan = planned(*SMALL, "mmu=native,nested", "replicates=3")
    seeds = {(plan.varied(n)["mmu"], plan.choice(n)[1]): plan.point(n)[0].workload.seed for n in range(len(plan))}
    assert (
        [seeds["native", r] for r in range(3)] == [seeds["nested", r] for r in range(3)] == [replicate_seed(1, r) for r in range(3)]
    )
    assert len({*seeds.values()}) == 3


def test_axes_may_repeat_points() -> None:
    """A design that draws a point twice computes it once; a grid that writes one twice is refused."""
    plan = planned(*SMALL, "plan=random", "plan.points=40", "mmu=native,nested")
    found, engine = engine_rows(plan)
    assert len(found) == 2
    assert engine.tallies["result"].asked == 40
    assert Axis("x", (1, 2), ("1", "2"), False).override(1) == "x=2"


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "7",
        "-7",
        "+7",
        "1_000",
        "007",
        "00",
        "1.5",
        "-0.25",
        "+10.50",
        "1.",
        ".5",
        "01.5",
        "1e3",
        "2.5e-3",
        "nan",
        "inf",
        "-0",
        "-0.0",
        "1.5ns",
        "7K",
        "true",
        "null",
        "a",
    ],
)
def test_a_number_is_what_hydra_reads(text: str) -> None:
    """Plain numbers aren't given to its parser."""
    of_hydra = OverridesParser.create().parse_override(f"key={text}").value()
    assert repr(parse_value(text)) == repr(of_hydra)
