"""The design that makes a column least under conditions: Optuna asks for designs, the sweep computes them, Optuna is told.

The sampler is the tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011), asked for a batch at a time. It would ask for a
known design again, of which a deterministic simulator has nothing new to say: then it is asked anew, and at last a design that
wasn't tried is drawn. Where there are fewer designs than trials, all of them are tried.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd

from memvirt.constraint import Constraint, read_constraints
from memvirt.errors import ConfigError
from memvirt.sweep.call import Call
from memvirt.sweep.plan.choices import Design, Rows, number
from memvirt.sweep.plan.plan import Plan
from memvirt.sweep.study import Incomplete, Study, check_columns, check_plan, needs_no_walks

AGAIN = 8  #: times that the sampler is asked for another design than a known one


class Search:
    """A search.

    Attributes
    ----------
    plan : Plan
        Of the first batch.
    """

    def __init__(self, call: Call) -> None:
        self.options: dict[str, Any] = call.config["study"]
        self.axes = call.axes
        if not self.axes:
            raise ConfigError("study", "search", "nothing is swept: give keys several values or an interval(FROM,TO)")
        check_plan(call.config["plan"], "study=search chooses its own points; say study.subject_to instead")
        self.trials, self.batch = number(self.options, "trials", 1, "study"), number(self.options, "batch", 1, "study")
        self.conditions = read_constraints(self.options["subject_to"], "study.subject_to")
        known = {axis.key for axis in self.axes}
        check_columns(self.options, "study.minimize", [self.options["minimize"]])
        conditions = [key for each in self.conditions for key in each.keys if key not in known]
        check_columns(self.options, "study.subject_to", conditions)
        if needs_no_walks([self.options["minimize"], *conditions]):
            call.leave_out_walks()
        self.tried: set[tuple[Any, ...]] = set()
        self.trials = min(self.trials, self._designs())
        self._begin()
        self.plan: Plan = call.plan(self._ask())

    def _begin(self) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=self.options["seed"])
        self.study = optuna.create_study(direction="minimize", sampler=sampler)
        self.optuna = optuna
        self.asked: list[Any] = []
        self.random = np.random.default_rng(self.options["seed"])

    def _designs(self) -> int:
        """How many there are, at the most as many as trials."""
        count = 1
        for axis in self.axes:
            if axis.interval is None:
                count *= len(axis.values)
            elif axis.interval.integer:
                count *= round(axis.interval.high) - round(axis.interval.low) + 1
            else:
                return self.trials
        return min(count, self.trials)

    def _suggested(self, trial: Any) -> tuple[Any, ...]:
        """A trial's value of each key."""
        found = []
        for axis in self.axes:
            if axis.interval is None:
                found.append(trial.suggest_categorical(axis.key, list(axis.texts)))
            else:
                low, high, integer, log = axis.interval
                found.append(getattr(trial, "suggest_int" if integer else "suggest_float")(axis.key, low, high, log=log))
        return tuple(found)

    def _untried(self) -> tuple[Any, ...]:
        """A design that wasn't tried, each as likely as another; only asked where designs can be counted."""
        choices = [
            axis.texts if axis.interval is None else range(round(axis.interval.low), round(axis.interval.high) + 1)
            for axis in self.axes
        ]
        if math.prod(map(len, choices)) > 2 * len(self.tried):
            while (design := tuple(each[self.random.integers(len(each))] for each in choices)) in self.tried:
                pass
            return design
        left = [design for design in itertools.product(*choices) if design not in self.tried]
        return left[self.random.integers(len(left))]

    def _new_trial(self) -> tuple[Any, tuple[Any, ...]]:
        """A trial of a design that wasn't tried."""
        for _ in range(AGAIN):
            trial = self.study.ask()
            design = self._suggested(trial)
            if design not in self.tried:
                return trial, design
            self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)  # of which the sampler learns nothing
        design = self._untried()
        self.study.enqueue_trial(dict(zip([axis.key for axis in self.axes], design, strict=True)))
        trial = self.study.ask()
        return trial, self._suggested(trial)

    def _ask(self) -> Design:
        """Ask for a batch."""
        self.asked, designs = [], []
        while len(self.asked) < self.batch and len(self.tried) < self.trials:
            trial, design = self._new_trial()
            self.tried.add(design)
            self.asked.append(trial)
            designs.append(design)
        axes, places = [], []
        for axis, drawn in zip(self.axes, zip(*designs, strict=True), strict=True):
            if axis.interval is None:
                places.append([axis.texts.index(text) for text in drawn])
                axes.append(axis)
                continue
            values, at = np.unique(np.array(drawn), return_inverse=True)
            listed = tuple(values.tolist())
            axes.append(axis._replace(values=listed, texts=tuple(map(repr, listed))))
            places.append(at.tolist())
        return Design(axes, Rows(np.array(places, np.int32).T), None, repeats=True)

    def run(self, study: Study) -> None:
        """Ask, compute and tell until all trials are made.

        Raises
        ------
        Incomplete
            If no design met the conditions.
        """
        study.draws_itself = True
        told: list[dict[str, Any]] = []
        plan = self.plan
        while True:
            ids = study.evaluate(plan, f"designs ({len(told)} of {self.trials} tried)")
            told += self._tell(study, plan, ids)
            if len(self.tried) >= self.trials:
                break
            plan = plan.another(self._ask())
        frame = pd.DataFrame(told)
        column = self.options["minimize"]
        good = frame[frame["feasible"] & frame[column].notna()]
        frame["best so far"] = frame[column].where(frame["feasible"]).cummin()
        study.write(frame, "search.csv")
        if good.empty:
            raise Incomplete(f"study=search: none of {len(frame)} designs went well and met {[c.text for c in self.conditions]}")
        from memvirt.drawing.sensitivity import history

        study.save(history(frame, column, self.options["over_vms"]), "search")
        best = good.loc[good[column].idxmin()]
        words = " ".join(f"{axis.key}={best[axis.key]}" for axis in self.axes)
        study.said.append(
            f"best of {len(frame)} designs: {column} {best[column]:.6g} ({self.options['over_vms']} of the VMs) at {words}"
        )

    def _tell(self, study: Study, plan: Plan, ids: list[str]) -> list[dict[str, Any]]:
        column = self.options["minimize"]
        swept = {axis.key for axis in self.axes}
        read = dict.fromkeys([column, *(key for c in self.conditions for key in c.keys if key not in swept)])
        found = study.outcomes(ids, list(read), self.options["over_vms"])
        rows = []
        for place, trial in enumerate(self.asked):
            first = place * plan.replicates
            part = found.iloc[first : first + plan.replicates].mean(skipna=False)
            outcome: dict[str, Any] = {str(name): float(number) for name, number in part.items()}
            varied = plan.varied(first)
            value = outcome[column]
            failed = bool(np.isnan(value))
            broken = sum(not self._holds(condition, {**outcome, **varied}) for condition in self.conditions) if not failed else 1
            trial.set_constraint("conditions broken", float(broken))
            if failed:
                self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)
            else:
                self.study.tell(trial, value)
            rows.append(
                {
                    "trial": len(self.tried) - len(self.asked) + place,
                    **varied,
                    **outcome,
                    "feasible": not failed and broken == 0,
                    "point_id": ids[first],
                }
            )
        return rows

    @staticmethod
    def _holds(condition: Constraint, values: dict[str, Any]) -> bool:
        return condition.holds(lambda key: values[key])


def make(call: Call) -> Search:
    """Ask for the first batch."""
    return Search(call)
