"""From overrides to the points of a grid."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from memvirt import workload
from memvirt.digest import canonical, text_digest
from memvirt.errors import ConfigError
from memvirt.point import Point
from memvirt.sweep.cli import RUN_KEYS
from memvirt.sweep.stitch import Axis, Composer, Stitcher, Tree

#: Keys of the composed config that are not part of a point.
NOT_OF_A_POINT = (*RUN_KEYS, "experiment")


class PlannedPoint(NamedTuple):
    """A point of the grid.

    Attributes
    ----------
    point_id : str
        Hash of its config and of its trace file's content.
    varied : dict
        Value of each axis.
    config : dict
        Complete and resolved.
    point : Point
        The same, checked.
    traces : dict of str
        Digest of each trace file.
    """

    point_id: str
    varied: Tree
    config: Tree
    point: Point
    traces: dict[str, str]


class Plan(NamedTuple):
    """The grid, and the sweep's own settings.

    Attributes
    ----------
    axes : list of Axis
    overrides : list of str
        Every override, those of the experiment first: from these the same plan is made again.
    settings : dict
        The config's keys that are not part of a point.
    points : list of PlannedPoint
    composed : int
        How often Hydra composed a config.
    """

    axes: list[Axis]
    overrides: list[str]
    settings: Tree
    points: list[PlannedPoint]
    composed: int


def _axis(override: Override, is_group: bool) -> Axis:
    key = override.get_key_element()
    column = key.replace("/", ".")
    if override.is_interval_sweep():
        raise ConfigError(
            column, override.get_value_string(), "an interval has no list of values; use range(FROM,TO,STEP) or commas"
        )
    texts = list(override.sweep_string_iterator())
    values = []
    for text in texts:
        parsed = OverridesParser.create().parse_override(f"{key}={text}")
        values.append(text if is_group else parsed.value())
    for value in values:
        if isinstance(value, dict):
            raise ConfigError(column, value, "a swept value must be a number, a text or a list; sweep its keys instead")
        if sum(other == value and type(other) is type(value) for other in values) > 1:
            raise ConfigError(column, value, "stands twice in the grid")
    return Axis(column, tuple(values), tuple(f"{key}={text}" for text in texts), is_group)


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
        texts = value if isinstance(value, list) else [value]
        written = key.replace(".", "/") if key.replace(".", "/") in groups else key
        given[key] = f"{written}={','.join(map(str, texts))}"
    parser = OverridesParser.create(config_loader=loader)
    for override in parser.parse_overrides(arguments):
        given[override.get_key_element().replace("/", ".")] = str(override.input_line)
    fixed, axes = [], []
    for override in parser.parse_overrides(list(given.values())):
        key = override.get_key_element()
        if not override.is_sweep_override():
            fixed.append(str(override.input_line))
        elif key.split("/")[0].split(".")[0] in NOT_OF_A_POINT:
            raise ConfigError(key, override.get_value_string(), "can't be swept: give one value")
        else:
            axes.append(_axis(override, key in groups))
    return fixed, axes


def plan_point(config: Tree, varied: Tree) -> PlannedPoint:
    """Check a point and its trace files, and hash what it computes.

    Raises
    ------
    ConfigError, TraceError
        If it can't be computed.
    """
    point = Point.build(config)
    contents, traces = [], {}
    for vm in range(point.count):
        work = point.member(vm)[0]
        workload.check(work)
        contents.append(workload.digest(work))
        if contents[-1]:
            traces[work.path or work.name] = contents[-1]
    point_id = text_digest(canonical(point.model_dump()), canonical(contents))[:16]
    return PlannedPoint(point_id, varied, config, point, traces)


def make_plan(compose: Composer, arguments: list[str], params: Tree, groups: dict[str, list[str]]) -> Plan:
    """Plan the grid that the overrides span; nothing is run.

    Raises
    ------
    ConfigError, TraceError
        For the first point that can't be.
    """
    fixed, axes = parse(arguments, params, groups, compose.loader)
    stitch = Stitcher(compose, fixed, axes)
    points = []
    for choice in _combinations(axes):
        config = {key: value for key, value in stitch(choice).items() if key not in NOT_OF_A_POINT}
        varied = {axis.key: axis.values[at] for axis, at in zip(axes, choice, strict=True)}
        points.append(plan_point(config, varied))
    seen: dict[str, PlannedPoint] = {}
    for point in points:
        if point.point_id in seen:
            pair = f"{seen[point.point_id].varied} and {point.varied}"
            raise ConfigError("sweep", pair, "are the same point, written in two ways")
        seen[point.point_id] = point
    settings = {key: stitch.base.get(key) for key in NOT_OF_A_POINT if key != "hydra"}
    overrides = [*fixed, *(",".join([axis.overrides[0], *(o.partition("=")[2] for o in axis.overrides[1:])]) for axis in axes)]
    return Plan(axes, overrides, settings, points, compose.count)


def _combinations(axes: list[Axis]) -> Iterator[list[int]]:
    yield from (list(choice) for choice in itertools.product(*(range(len(axis.values)) for axis in axes)))
