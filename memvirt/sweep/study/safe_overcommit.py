"""How far memory can be overcommitted: the highest ratio at which no VM is slowed by more than so many per cent.

One search for each combination of the swept keys, such as ``reclaim=swap,balloon``; all of them ask for their next ratio at once,
so that each round is one batch. A VM is slowed against itself on a host that has promised no more than it has and takes nothing
back: the same point with ``reclaim=none`` and ``overcommit.ratio=1``. Of page lives two things are compared, and the worse one
counts: the slowdown that 99 of 100 epochs don't exceed, and that of the worst ten epochs in a row; of access-level traces the
whole run's. An epoch in which a VM waits for no longer than a person can feel counts as not slowed: else idle VMs, which do next
to nothing, decide for all. Several samples of the same VMs (`vms.scale_seed`) are put together: their mean, and how far they lie
apart, is the error of `vms.scale`. Of page lives no translation is simulated unless the command line says something of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from memvirt.errors import ConfigError
from memvirt.pipeline.detail import has_lives
from memvirt.pipeline.point import Point
from memvirt.sweep.call import Call
from memvirt.sweep.plan.axes import Axis
from memvirt.sweep.plan.choices import Design, Grid, Rows, no_intervals, number
from memvirt.sweep.plan.plan import Plan, plan_design
from memvirt.sweep.study import Incomplete, Study, check_plan
from memvirt.sweep.study._bound import Bound, bound_of
from memvirt.sweep.study._cliff import DIGITS, Hunt, Verdict
from memvirt.sweep.study._error import SEED, errors
from memvirt.sweep.study._error import told as told_of_samples
from memvirt.sweep.study._hindsight import COLUMNS as WARNED_BY
from memvirt.sweep.study._hindsight import Hindsight, look_back
from memvirt.sweep.study._slowed import COLUMNS as OF_EPOCHS
from memvirt.sweep.study._slowed import MEASURES, felt, slowed

RATIO, POLICY, IDLE = "overcommit.ratio", "reclaim", "none"
RUN = "run"  #: what is compared of access-level traces
#: Groups of which nothing is said where only memory is asked about: walks of page lives, which say how long their CPUs are busy,
#: aren't simulated then. How long an access-level trace is busy is known by its walks alone.
OF_TRANSLATION = ("mmu", "tlb", "cache", "machine", "cpu", "guest", "host")
COLUMNS = ["cycles", "stalled_epochs", "slowdown"]


def _of_policy(key: str) -> bool:
    """Whether a key is the policy's, or one of its own."""
    return key.replace("/", ".").partition(".")[0] == POLICY


class SafeOvercommit:
    """The searches.

    Attributes
    ----------
    plan : Plan
        Of the whole scan, which is gone through upwards as far as need be.
    """

    def __init__(self, call: Call) -> None:
        self.options: dict[str, Any] = call.config["study"]
        self._check(call)
        self.axes = call.axes
        grid = Grid([len(axis.values) for axis in self.axes])
        self.combinations = [grid[row] for row in range(len(grid))]
        low, high = self.options["ratio"]
        scanned = np.linspace(low, high, number(self.options, "scan", 2, "study")).round(DIGITS).tolist()
        beyond = number(self.options, "beyond", 0, "study")
        self.hunts = [Hunt(self.options["tolerance"], scanned, beyond) for _ in self.combinations]
        every = [(place, ratio) for place in range(len(self.combinations)) for ratio in scanned]
        self.lives = self._of_lives(call.plan(self._design([each for each in every if each[1] == scanned[0]])))
        if not call.mentions(OF_TRANSLATION) and all(self.lives):
            call.leave_out_walks()
        self.plan: Plan = call.plan(self._design(every))
        self.reference = self._reference(call)

    def _of_lives(self, firsts: Plan) -> list[bool]:
        """Whether each combination's VMs have page lives; of a plan of one ratio."""
        return [has_lives(firsts.point(place * firsts.replicates)[0]) for place in range(len(self.combinations))]

    def _check(self, call: Call) -> None:
        check_plan(call.config["plan"], "study=safe_overcommit chooses its own ratios, without constraints")
        no_intervals(call.axes, "grid")
        given = [axis.key for axis in call.axes] + [word.partition("=")[0] for word in call.fixed]
        for key in (RATIO, "overcommit.host_memory"):
            if key in given:
                raise ConfigError(key, "", "study=safe_overcommit looks for it: say study.ratio=[FROM,TO]")
        for key, least in (("slowdown", "above 0"), ("tolerance", "above 0"), ("delay", "0 or more")):
            value = self.options[key]
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not (value > 0 or (value == 0 and key == "delay")):
                raise ConfigError(f"study.{key}", value, f"must be a number {least}")
        ratio = self.options["ratio"]
        numbers = isinstance(ratio, list) and all(isinstance(each, (int, float)) for each in ratio)
        if not numbers or len(ratio) != 2 or not 0 < ratio[0] < ratio[1]:
            raise ConfigError("study.ratio", ratio, "must be two numbers that go up: [1,2.5]")

    def _design(self, asked: Sequence[tuple[int, float]]) -> Design:
        """Some ratios of some combinations."""
        ratios = sorted({ratio for _, ratio in asked})
        axis = Axis(RATIO, tuple(ratios), tuple(map(repr, ratios)), False)
        rows = [[*self.combinations[place], ratios.index(ratio)] for place, ratio in asked]
        return Design([*self.axes, axis], Rows(np.array(rows, np.int32)))

    def _reference(self, call: Call) -> Plan:
        """What each combination is compared with: the same without reclaim, whose own keys and options don't matter then."""
        fixed = [word for word in call.fixed if not _of_policy(word.partition("=")[0])]
        axes = [Axis(POLICY, (IDLE,), (IDLE,), True), *(axis for axis in self.axes if not _of_policy(axis.key))]
        grid = Grid([len(axis.values) for axis in axes])
        places = [[*grid[row], 0] for row in range(len(grid))]
        design = Design([*axes, Axis(RATIO, (1.0,), ("1.0",), False)], Rows(np.array(places, np.int32)))
        return plan_design(call.compose, fixed, design, call.config)

    def run(self, study: Study) -> None:
        """Scan and bisect.

        Raises
        ------
        Incomplete
            If what the others are compared with failed.
        """
        study.draws_itself = True
        hunts = self.hunts
        reference: pd.DataFrame | None = None
        while asked := [(place, ratio) for place, hunt in enumerate(hunts) if (ratio := hunt.ask()) is not None]:
            plan = self.plan.another(self._design(asked))
            open_ended = sum(hunts[place].failed is None for place, _ in asked)
            known = [hunt.failed.ratio - hunt.safe.ratio for hunt in hunts if hunt.failed and hunt.safe]
            said = f"{open_ended} cliffs not in sight yet" if open_ended else ""
            said += (", others" if said else "cliffs") + f" known to {max(known):.3g}" if known else ""
            ids = study.evaluate(plan, f"points ({said})")
            if reference is None:
                reference = self._references(study, ids)
            self._tell(study, plan, ids, asked, reference, hunts)
        assert reference is not None
        self._conclude(study, hunts, reference)

    def _references(self, study: Study, scanned: list[str]) -> pd.DataFrame:
        """Columns of each VM of each reference point; one that the scan had isn't computed, nor written, again."""
        ids = [self.reference.point(place)[1] for place in range(len(self.reference))]
        if not set(ids) <= set(scanned):
            study.evaluate(self.reference, "points to compare with")
        rows = self._rows(study, ids)
        bad = rows[rows["status"] != "ok"]
        if not bad.empty:
            raise Incomplete(f"study=safe_overcommit: without overcommitment it can't run either: {bad.iloc[0]['error']}")
        return rows.set_index(["number", "vm"])

    def _rows(self, study: Study, ids: list[str]) -> pd.DataFrame:
        """What is compared of each VM of some points."""
        rows = study.rows(ids, COLUMNS)
        rows[RUN] = rows["cycles"]
        if any(self.lives):
            rows = rows.join(slowed(study.epochs(ids, OF_EPOCHS), self._unfelt()), on=["number", "vm"])
        return rows

    def _unfelt(self) -> float:
        """Cycles of an epoch's waits that nobody feels."""
        return float(self.options["delay"]) * self._point(self.combinations[0]).cpu.ghz * 1e9

    def _compared_with(self, combination: tuple[int, ...]) -> int:
        """Row of the reference's design that a combination is compared with."""
        others = [(at, len(axis.values)) for axis, at in zip(self.axes, combination, strict=True) if not _of_policy(axis.key)]
        places, counts = [at for at, _ in others], [count for _, count in others]
        return int(np.ravel_multi_index(places, counts)) if others else 0

    def _tell(
        self,
        study: Study,
        plan: Plan,
        ids: list[str],
        asked: Sequence[tuple[int, float]],
        reference: pd.DataFrame,
        hunts: list[Hunt],
    ) -> None:
        """Judge the points of a round."""
        rows = self._rows(study, ids)
        for row, (place, ratio) in enumerate(asked):
            lives = self.lives[place]
            measures = list(MEASURES.values()) if lives else [RUN]
            first = row * plan.replicates
            mine = rows[rows["number"].between(first, first + plan.replicates - 1)]
            with_what = self._compared_with(self.combinations[place]) * plan.replicates + mine["number"] - first
            base = reference.loc[list(zip(with_what, mine["vm"], strict=True))].set_index(mine.index)
            slower = mine[measures].div(base[measures])
            whole = mine["slowdown"] / base["slowdown"] if lives else slower[RUN]
            hunts[place].tell(self._verdict(ratio, mine, slower, whole, ids[first]))

    def _verdict(self, ratio: float, rows: pd.DataFrame, slower: pd.DataFrame, whole: pd.Series, point_id: str) -> Verdict:
        bad = rows[rows["status"] != "ok"]
        if not bad.empty:
            status, error = bad.iloc[0][["status", "error"]]
            return Verdict(ratio, error if status == "error" else status, -1, np.nan, "", 0.0, point_id)
        by_vm = slower.groupby(rows["vm"]).mean()
        row, column = divmod(int(by_vm.to_numpy().argmax()), len(by_vm.columns))
        vm, measure, slowdown = int(by_vm.index[row]), str(by_vm.columns[column]), 100 * (float(by_vm.to_numpy()[row, column]) - 1)
        stalled = rows.loc[rows["vm"] == vm, "stalled_epochs"].max() > 0
        why = "" if slowdown <= self.options["slowdown"] else "stalled" if stalled else "slowdown"
        return Verdict(ratio, why, vm, slowdown, measure, float((1 / whole).mean()), point_id)

    def _values(self, combination: tuple[int, ...]) -> dict[str, Any]:
        """Values of the swept keys; of the policy if none is swept."""
        if not self.axes:
            return {POLICY: self.plan.stitch.options[POLICY]}
        return {axis.key: axis.values[at] for axis, at in zip(self.axes, combination, strict=True)}

    def _point(self, combination: tuple[int, ...]) -> Point:
        """A point of a combination, at the first ratio of the scan."""
        return self.plan.point(self.combinations.index(combination) * self.options["scan"] * self.plan.replicates)[0]

    def _hindsight(self, study: Study, combination: tuple[int, ...], hunt: Hunt, reference: pd.DataFrame) -> Hindsight | None:
        """What ran out at the lowest ratio that failed; None where nobody knows."""
        failed, safe = hunt.failed, hunt.safe
        point = self._point(combination)
        lives = self.lives[self.combinations.index(combination)]
        if failed is None or failed.vm < 0 or point.epoch.time is None or not lives:
            return None
        ids = [failed.point_id, *([safe.point_id] if safe else [])]
        epochs = felt(study.epochs(ids, ["cycles", *WARNED_BY]), self._unfelt())
        usual = reference.loc[(self._compared_with(combination) * self.plan.replicates, failed.vm), "p99 epoch"]
        times = {"read_latency": point.reclaim.device.read_latency}
        times |= {name: getattr(point.clock, name) for name in ("decompress", "cow_break")}
        return look_back(
            epochs[epochs["number"] == 0],
            epochs[epochs["number"] == 1] if safe else None,
            failed.vm,
            usual * (1 + self.options["slowdown"] / 100),
            point.epoch.time / 1e9,
            times,
        )

    def _conclude(self, study: Study, hunts: list[Hunt], reference: pd.DataFrame) -> None:
        tried, found = [], []
        bounds: dict[str, Bound | None] = {}
        for combination, hunt in zip(self.combinations, hunts, strict=True):
            values = self._values(combination)
            point = self._point(combination)
            mix = repr((point.workload, point.vms, point.contents))
            if mix not in bounds:
                bounds[mix] = bound_of(point)
            bound, told = bounds[mix], self._hindsight(study, combination, hunt, reference)
            tried += [{**values, **hunt.tried[ratio]._asdict()} for ratio in sorted(hunt.tried)]
            safe, failed = hunt.safe, hunt.failed
            found.append(
                {
                    **values,
                    "ratio": safe.ratio if safe else None,
                    "worst_vm": safe.vm if safe else None,
                    "slowdown": safe.slowdown if safe else None,
                    "throughput": safe.throughput if safe else None,
                    "bound": bound.ratio if bound else None,
                    "next_ratio": failed.ratio if failed else None,
                    "next_worst_vm": failed.vm if failed and failed.vm >= 0 else None,
                    "next_slowdown": failed.slowdown if failed else None,
                    "why": failed.why if failed else "",
                    "ran_out": told.ran_out if told else "",
                    "warned_by": told.signal if told else "",
                    "warned_seconds_before": told.seconds if told else None,
                    "held_again_at": " ".join(f"{ratio:g}" for ratio in hunt.again),
                }
            )
            study.said.append(self._line(values, hunt, told) + (f"; bound without sharing {bound.ratio:.3g}" if bound else ""))
        study.said += dict.fromkeys(str(bound) for bound in bounds.values() if bound)
        study.write(pd.DataFrame(found).convert_dtypes(), "safe_overcommit.csv")
        study.write(pd.DataFrame(tried), "ratios_tried.csv")
        from memvirt.drawing.cliff import throughput

        keys, answers = list(self._values(self.combinations[0])), pd.DataFrame(found)
        if SEED in keys:
            answers = errors(answers, pd.DataFrame(tried), keys, float(self.options["slowdown"]))
            study.write(answers, "error_of_scale.csv")
            study.said += [told_of_samples(row, keys) for row in answers.to_dict("records")]
            keys.remove(SEED)
        study.save(throughput(pd.DataFrame(tried), answers, keys, float(self.options["slowdown"])), "safe_overcommit")

    def _line(self, values: dict[str, Any], hunt: Hunt, told: Hindsight | None) -> str:
        words = " ".join(f"{key}={value}" for key, value in values.items())
        limit, safe, failed = f"{self.options['slowdown']:g} %", hunt.safe, hunt.failed
        line = (
            f"{words}: safe up to {safe.ratio:.4g}, VM {safe.vm} slowed most, by {safe.slowdown:.3g} %{_of(safe)}"
            if safe
            else f"{words}: never safe"
        )
        if failed is None:
            return f"{line} (limit {limit}); that is the highest ratio tried"
        what = f"VM {failed.vm} slowed by {failed.slowdown:.3g} %{_of(failed)}" if failed.vm >= 0 else "no result"
        line += f"; at {failed.ratio:.4g} {what} ({failed.why}; limit {limit})"
        if told:
            line += f"; ran out: {told.ran_out}"
            line += f"; {told.signal} had said so {told.seconds:g} s before" if told.signal else "; no signal had said so"
        return line + (f"; not monotone: safe again at {', '.join(f'{ratio:g}' for ratio in hunt.again)}" if hunt.again else "")


def _of(verdict: Verdict) -> str:
    """Of what a slowdown is, unless of a whole run."""
    return f" in its {verdict.measure}" if verdict.measure in MEASURES.values() else ""


def make(call: Call) -> SafeOvercommit:
    """Plan the scan."""
    return SafeOvercommit(call)
