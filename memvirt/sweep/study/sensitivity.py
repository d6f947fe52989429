"""Which parameters matter: Morris's screening of all, then Sobol's indices of those that matter.

One study for each combination of the swept keys that aren't intervals. The estimators are SALib's (Morris,
Technometrics 1991; Campolongo et al., 2007; Saltelli et al., Comput. Phys. Commun. 2010); each has a confidence
interval by resampling.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from memvirt.errors import ConfigError
from memvirt.sweep.call import Call
from memvirt.sweep.design import morris, saltelli
from memvirt.sweep.plan.axes import Axis
from memvirt.sweep.plan.plan import Plan
from memvirt.sweep.study import Incomplete, Study, check_columns, check_plan, needs_no_walks

LEVEL = 0.95  #: of the confidence intervals


def fixed_at_middle(axis: Axis) -> Axis:
    """An interval that the screening found not to matter, held at its middle."""
    drawn, _ = axis.drawn(np.array([0.5]))
    return drawn._replace(interval=None)


class Sensitivity:
    """A screening, and what follows from it.

    Attributes
    ----------
    plan : Plan
        Of the screening.
    """

    def __init__(self, call: Call) -> None:
        self.options: dict[str, Any] = call.config["study"]
        self.axes = call.axes
        self.names = [axis.key for axis in call.axes if axis.interval is not None]
        share = self.options["screen"]
        if not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise ConfigError("study.screen", share, "must be a share from 0 to 1")
        check_columns(self.options, "study.column", [self.options["column"]])
        if needs_no_walks([self.options["column"]]):
            call.leave_out_walks()
        check_plan(call.config["plan"], "study=sensitivity makes its own designs, without constraints")
        if not isinstance(self.options["log"], bool):
            raise ConfigError("study.log", self.options["log"], "must be true or false")
        saltelli.design(self.axes, self.options)  # so that a mistake in the second part is known before the first
        self.plan: Plan = call.plan(morris.design(self.axes, self.options))

    def run(self, study: Study) -> None:
        """Screen, then estimate the indices of what is left.

        Raises
        ------
        Incomplete
            If a point failed: a single missing number makes every index wrong.
        """
        study.draws_itself = True
        screening = self._screen(study)
        study.write(screening, "morris.csv")
        outer = [axis.key for axis in self._outer()]
        found = screening["mu_star"]
        largest = screening.groupby(outer, dropna=False)["mu_star"].transform("max") if outer else found.max()
        matter = screening[found >= self.options["screen"] * largest]["parameter"]
        left = [name for name in self.names if name in set(matter)]
        held = [name for name in self.names if name not in left]
        study.said.append(f"Morris: {', '.join(left)} matter" + (f"; held at their middle: {', '.join(held)}" if held else ""))
        indices = self._indices(study, left)
        study.write(indices, "sobol.csv")
        self._draw(study, screening, indices)

    def _outer(self) -> list[Axis]:
        return [axis for axis in self.axes if axis.interval is None]

    def _values(self, study: Study, plan: Plan, ids: list[str]) -> NDArray[np.float64]:
        """The studied column of each row of a plan, its replicates averaged."""
        column = self.options["column"]
        found = study.outcomes(ids, [column], self.options["over_vms"])[column].to_numpy(float)
        missing = int(np.isnan(found).sum())
        if missing:
            raise Incomplete(
                f"study=sensitivity: {missing} of {found.size} points have no {column}, and one alone would make "
                "every index wrong; narrow the intervals, or try those that failed again with resume=true"
            )
        if self.options["log"]:
            if found.min() <= 0:
                raise Incomplete(f"study.log=true: {column} is {found.min():g} somewhere, which has no logarithm")
            found = np.log(found)
        return np.asarray(found.reshape(-1, plan.replicates).mean(axis=1))

    def _studies(self, plan: Plan, values: NDArray[np.float64]) -> Iterator[tuple[dict[str, Any], NDArray[Any], NDArray[Any]]]:
        """Of each combination of the other axes: their values, the rows' coordinates, and what came of them."""
        assert plan.coordinates is not None
        outer = [place for place, axis in enumerate(self.axes) if axis.interval is None]
        inner = [place for place in range(len(plan.axes)) if not np.isnan(plan.coordinates[0, place])]
        count = int(np.prod([len(self.axes[place].values) for place in outer], dtype=int))
        length = len(values) // count
        for number in range(count):
            part = slice(number * length, (number + 1) * length)
            choice = plan.choices[number * length]
            where = {self.axes[place].key: self.axes[place].values[choice[place]] for place in outer}
            yield where, plan.coordinates[part][:, inner], values[part]

    def _screen(self, study: Study) -> pd.DataFrame:
        from SALib.analyze import morris as analysis

        ids = study.evaluate(self.plan, "screening points")
        rows = []
        for where, coordinates, values in self._studies(self.plan, self._values(study, self.plan, ids)):
            found = analysis.analyze(
                morris.problem(len(self.names)), coordinates, values, num_resamples=self.options["resamples"], conf_level=LEVEL,
                num_levels=self.options["levels"], seed=morris.salib_seed(self.options),
            )  # fmt: skip
            for place, name in enumerate(self.names):
                measured = {each: float(found[each][place]) for each in ("mu", "mu_star", "mu_star_conf", "sigma")}
                rows.append({**where, "parameter": name, **measured})
        return pd.DataFrame(rows)

    def _indices(self, study: Study, left: list[str]) -> pd.DataFrame:
        from SALib.analyze import sobol as analysis

        axes = [axis if axis.interval is None or axis.key in left else fixed_at_middle(axis) for axis in self.axes]
        plan = self.plan.another(saltelli.design(axes, self.options))
        ids = study.evaluate(plan, "points for Sobol's indices")
        rows = []
        for where, _, values in self._studies(plan, self._values(study, plan, ids)):
            if np.ptp(values) == 0:
                study.said.append(f"Sobol: {self.options['column']} is constant {where or ''}, so it has no indices")
                found = {each: np.full(len(left), np.nan) for each in ("S1", "S1_conf", "ST", "ST_conf")}
            else:
                found = analysis.analyze(
                    morris.problem(len(left)), values, calc_second_order=False, num_resamples=self.options["resamples"],
                    conf_level=LEVEL, seed=morris.salib_seed(self.options),
                )  # fmt: skip
            for place, name in enumerate(left):
                measured = {each: float(found[each][place]) for each in ("S1", "S1_conf", "ST", "ST_conf")}
                rows.append({**where, "parameter": name, **measured})
        return pd.DataFrame(rows)

    def _studied(self) -> str:
        return f"ln {self.options['column']}" if self.options["log"] else str(self.options["column"])

    def _draw(self, study: Study, screening: pd.DataFrame, indices: pd.DataFrame) -> None:
        from memvirt.drawing.sensitivity import bars, screen

        outer = [axis.key for axis in self._outer()]
        study.save(screen(screening, outer, self._studied()), "morris")
        study.save(bars(indices, outer, self._studied()), "sobol")


def make(call: Call) -> Sensitivity:
    """Plan the screening."""
    return Sensitivity(call)
