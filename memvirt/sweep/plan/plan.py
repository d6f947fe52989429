"""From overrides to the points of a sweep: which there are is worked out at once, each of them when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from numpy.typing import NDArray

from memvirt.constraint import Constraint, read_constraints
from memvirt.errors import ConfigError, Conflict
from memvirt.pipeline.point import Point
from memvirt.policy import load
from memvirt.sweep.plan.axes import Axis, make_axis
from memvirt.sweep.plan.choices import Design, Some
from memvirt.sweep.plan.compose import Composer
from memvirt.sweep.plan.groups import EXPERIMENT_KEYS, NOT_OF_A_POINT, NOT_SWEPT
from memvirt.sweep.plan.sections import Sections
from memvirt.sweep.plan.stitch import Stitcher, Tree, plain


class Plan:
    """The points of a sweep, by number.

    Parameters
    ----------
    stitch : Stitcher
        Of the design's axes.
    design : Design
    replicates : int
        How often each row of the design is run, each time with other seeds.
    settings : dict
        The config's keys that are not part of a point.

    Attributes
    ----------
    dropped : dict of str
        Of each constraint, how many rows it ruled out that none before it did.
    """

    def __init__(self, stitch: Stitcher, design: Design, replicates: int, settings: Tree) -> None:
        self.stitch, self.replicates, self.settings = stitch, replicates, settings
        self.axes, self.choices, self.coordinates, self.repeats = design
        self.dropped: dict[str, int] = {}
        self.sections = Sections(stitch)

    def __len__(self) -> int:
        return len(self.choices) * self.replicates

    @property
    def composed(self) -> int:
        """How often Hydra composed a config."""
        return self.stitch.compose.count

    def another(self, design: Design) -> Plan:
        """Plan another design over the same keys, the same groups' options among their values."""
        return Plan(self.stitch.revalued(design.axes), design, self.replicates, self.settings)

    def choice(self, number: int) -> tuple[tuple[int, ...], int]:
        """Place of each axis's value, and replicate."""
        row, replicate = divmod(number, self.replicates)
        return self.choices[row], replicate

    def varied(self, number: int) -> Tree:
        """Value of each axis."""
        return {axis.key: axis.values[at] for axis, at in zip(self.axes, self.choice(number)[0], strict=True)}

    def values(self, key: str) -> tuple[Sequence[Any], NDArray[np.int64]]:
        """Values of a key, and the place among them of each row's; None where a row has no such key.

        The key may be one that this plan doesn't vary, but another of the same sweep does.
        """
        for place, axis in enumerate(self.axes):
            if axis.key == key:
                return axis.values, self.choices.columns([place])[:, 0]
        found: list[Any] = []
        for row in range(len(self.choices)):
            try:
                found.append(self._value(key, list(self.choices[row])))
            except ConfigError:
                found.append(None)
        return found, np.arange(len(found))

    def config(self, number: int) -> Tree:
        """Complete, resolved config of a point's row; a replicate's seed is in its point alone."""
        return {key: value for key, value in self.stitch(self.choice(number)[0]).items() if key not in NOT_OF_A_POINT}

    def point(self, number: int) -> tuple[Point, str]:
        """A point, checked, and its id.

        Raises
        ------
        ConfigError, TraceError
        """
        try:
            return self.sections(*self.choice(number))
        except Conflict as wrong:
            varied = " ".join(f"{key}={value}" for key, value in self.varied(number).items())
            if not varied:
                raise
            why = f"{wrong.why} (at the point {varied}; plan.constraints leaves out points that can't be)"
            raise Conflict(wrong.key, wrong.value, why) from None
        except ConfigError as wrong:
            drawn = next((axis.interval for axis in self.axes if axis.interval is not None and axis.key == wrong.key), None)
            if drawn is None or drawn.integer or "valid integer" not in wrong.why:
                raise
            ends = f"{drawn.low:g},{drawn.high:g}"
            why = f"must be whole numbers: {wrong.key}=int(interval({ends}))"
            raise ConfigError(wrong.key, f"interval({ends})", why) from None

    def constrain(self, constraints: list[Constraint]) -> None:
        """Rule out the rows for which a constraint doesn't hold.

        Raises
        ------
        ConfigError
            If one names no key, or no row is left.
        """
        total = len(self.choices)
        left = np.ones(total, bool)
        for constraint in constraints:
            holds = self._holds(constraint)
            self.dropped[constraint.text] = int((left & ~holds).sum())
            left &= holds
        if not left.any():
            raise ConfigError("plan.constraints", [each.text for each in constraints], f"rule out all of the {total:,} points")
        if not left.all():
            rows = np.flatnonzero(left)
            assert not isinstance(self.choices, Some)
            self.choices = Some(self.choices, rows)
            self.coordinates = self.coordinates[rows] if self.coordinates is not None else None

    def _holds(self, constraint: Constraint) -> Any:
        """Row by row, whether a constraint holds; each combination of the axes that it can depend on is looked at once."""
        involved = [
            place
            for place in range(len(self.axes))
            if not self.stitch.valid or any(self.stitch.matters(place, key) for key in constraint.keys)
        ]
        if not involved:
            return np.full(len(self.choices), constraint.holds(lambda key: self._value(key, [0] * len(self.axes))))
        places = self.choices.columns(involved)
        distinct, which = np.unique(places, axis=0, return_inverse=True)
        found = np.zeros(len(distinct), bool)
        for row, at in enumerate(distinct.tolist()):
            choice = [0] * len(self.axes)
            for place, each in zip(involved, at, strict=True):
                choice[place] = each
            found[row] = constraint.holds(lambda key, choice=choice: self._value(key, choice))  # type: ignore[misc]
        return found[which.reshape(-1)]

    def _value(self, key: str, choice: list[int]) -> Any:
        """Value of a key for a combination: an axis's, a group's option, or what the config says."""
        for axis, at in zip(self.axes, choice, strict=True):
            if axis.key == key:
                return axis.values[at]
        if key.replace(".", "/") in self.stitch.options:
            return self.stitch.option(key.replace(".", "/"), choice)
        name, *rest = key.split(".")
        if name not in self.stitch.base or name in NOT_SWEPT:
            raise ConfigError("plan.constraints", key, "there is no such key")
        value: Any = self.stitch.section(name, choice) if self.stitch.valid else self.stitch(choice)[name]
        for part in rest:
            if not isinstance(value, dict) or part not in value:
                raise ConfigError("plan.constraints", key, "there is no such key")
            value = value[part]
        return value


def as_written(value: object) -> str:
    """A value of a YAML file as the command line takes it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def parse(
    arguments: list[str], params: Tree, groups: dict[str, list[str]], loader: ConfigLoaderImpl
) -> tuple[list[str], list[Axis]]:
    """Tell fixed overrides from axes; an experiment's own grid comes first and gives way key by key.

    Parameters
    ----------
    arguments : list of str
        The command line's overrides.
    params : dict
        The experiment's grid: key to comma list.
    groups : dict
        Options of each config group.
    loader : ConfigLoader
        Lists options for ``glob``.
    """
    given: dict[str, str] = {}
    for key, value in params.items():
        texts = [as_written(each) for each in (value if isinstance(value, list) else [value])]
        written = key.replace(".", "/") if key.replace(".", "/") in groups else key
        given[key] = f"{written}={','.join(map(str, texts))}"
    parser = OverridesParser.create(config_loader=loader)
    for override in parser.parse_overrides(arguments):
        given[override.get_key_element().lstrip("+").replace("/", ".")] = str(override.input_line)
    fixed, axes = [], []
    for override in parser.parse_overrides(list(given.values())):
        key = override.get_key_element().lstrip("+")
        if not override.is_sweep_override():
            fixed.append(str(override.input_line))
        elif key.split("/")[0].split(".")[0] in NOT_SWEPT:
            raise ConfigError(key, override.get_value_string(), "can't be swept: give one value")
        else:
            axes.append(make_axis(override, key in groups))
    return fixed, axes


def own_settings(compose: Composer, fixed: list[str], axes: list[Axis]) -> Tree:
    """The config's keys that are not part of a point."""
    config = plain(compose([*fixed, *(axis.override(0) for axis in axes if axis.values)]))
    return {key: config.get(key) for key in NOT_OF_A_POINT if key != "hydra" and key not in EXPERIMENT_KEYS}


def make_design(axes: list[Axis], plan: Tree) -> Design:
    """Make the design that ``plan`` names.

    Raises
    ------
    ConfigError
    """
    return load("sweep.design", plan["name"], "plan").design(axes, plan)  # type: ignore[no-any-return]


def plan_design(compose: Composer, fixed: list[str], design: Design, settings: Tree) -> Plan:
    """Plan a design.

    Raises
    ------
    ConfigError
    """
    replicates = settings["replicates"]
    if not isinstance(replicates, int) or isinstance(replicates, bool) or not 1 <= replicates <= 10_000:
        raise ConfigError("replicates", replicates, "must be a whole number from 1 to 10,000")
    made = Plan(Stitcher(compose, fixed, design.axes), design, replicates, settings)
    constraints = read_constraints(settings["plan"].get("constraints") or [])
    if constraints:
        made.constrain(constraints)
    return made
