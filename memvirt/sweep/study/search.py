"""The design that makes a column least under conditions: Optuna asks for designs, the sweep computes them, Optuna is told.

The sampler is the tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011), asked for a batch at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from memvirt.constraint import Constraint, read_constraints
from memvirt.errors import ConfigError
from memvirt.sweep.call import Call
from memvirt.sweep.plan.choices import Design, Rows, number
from memvirt.sweep.plan.plan import Plan
from memvirt.sweep.study import Incomplete, Study, check_columns, check_plan


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
        check_columns(self.options, "study.subject_to", [key for each in self.conditions for key in each.keys if key not in known])
        self._begin()
        self.plan: Plan = call.plan(self._ask())

    def _begin(self) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=self.options["seed"])
        self.study = optuna.create_study(direction="minimize", sampler=sampler)
        self.optuna = optuna
        self.asked: list[Any] = []

    def _ask(self) -> Design:
        """Ask for a batch."""
        count = min(self.batch, self.trials - len(self.study.trials))
        self.asked = [self.study.ask() for _ in range(count)]
        axes, places = [], []
        for axis in self.axes:
            if axis.interval is None:
                texts = list(axis.texts)
                places.append([texts.index(trial.suggest_categorical(axis.key, texts)) for trial in self.asked])
                axes.append(axis)
                continue
            low, high, integer, log = axis.interval
            suggest = "suggest_int" if integer else "suggest_float"
            drawn = [getattr(trial, suggest)(axis.key, low, high, log=log) for trial in self.asked]
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
            if len(self.study.trials) >= self.trials:
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
                {"trial": trial.number, **varied, **outcome, "feasible": not failed and broken == 0, "point_id": ids[first]}
            )
        return rows

    @staticmethod
    def _holds(condition: Constraint, values: dict[str, Any]) -> bool:
        return condition.holds(lambda key: values[key])


def make(call: Call) -> Search:
    """Ask for the first batch."""
    return Search(call)
