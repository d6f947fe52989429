"""From overrides to points: Hydra composes each option once, and the grid is stitched from the parts.

Composing takes a tenth of a second, so a grid is not composed point by point. The base config and one config for
each further option of each swept group are; where an option changes only its own part of the config, a point is the
base with those parts exchanged and the swept values set. Where that doesn't hold (interpolations, options that
reach into other groups), each point is composed for itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from memvirt import workload
from memvirt.digest import canonical, text_digest
from memvirt.errors import ConfigError, suggest
from memvirt.point import Point
from memvirt.sweep.cli import RUN_KEYS

Tree = dict[str, Any]
#: Keys of the composed config that are not part of a point.
NOT_OF_A_POINT = (*RUN_KEYS, "experiment")


class Axis(NamedTuple):
    """A key that the sweep varies.

    Attributes
    ----------
    key : str
        Dotted, as the result's column is named.
    values : tuple
        In the order given.
    overrides : tuple of str
        For each value, what Hydra is told.
    is_group : bool
        Whether the values are options of a config group.
    """

    key: str
    values: tuple[Any, ...]
    overrides: tuple[str, ...]
    is_group: bool


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
    """

    point_id: str
    varied: Tree
    config: Tree


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


class Composer:
    """Composes configs with Hydra, and counts."""

    def __init__(self, loader: ConfigLoaderImpl, master: DictConfig) -> None:
        self.loader, self.master, self.count = loader, master, 0

    def __call__(self, overrides: list[str]) -> DictConfig:
        """Compose one config."""
        self.count += 1
        return self.loader.load_sweep_config(self.master, overrides)


def plain(config: DictConfig) -> Tree:
    """Resolve a config and leave Hydra's own part out."""
    kept = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    return OmegaConf.to_container(kept, resolve=True, throw_on_missing=True)  # type: ignore[return-value]


def _has_interpolation(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_interpolation, value.values()))
    if isinstance(value, list):
        return any(map(_has_interpolation, value))
    return isinstance(value, str) and "${" in value


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


def put(config: Tree, path: list[str], value: Any, key: str) -> Tree:
    """Copy a config with one value set, sharing all that isn't on its path.

    Raises
    ------
    ConfigError
        If the path isn't there.
    """
    name, *rest = path
    if name not in config:
        raise ConfigError(key, value, f"there is no such key; {suggest(name, config)}")
    if not rest:
        return {**config, name: value}
    if not isinstance(config[name], dict):
        raise ConfigError(key, value, f"{name} has no keys of its own")
    return {**config, name: put(config[name], rest, value, key)}


def take(config: Tree, path: list[str]) -> Any:
    """Part of a config."""
    for name in path:
        config = config[name]
    return config


class Stitcher:
    """Makes each combination's config of parts that were composed once."""

    def __init__(self, compose: Composer, fixed: list[str], axes: list[Axis]) -> None:
        self.compose, self.fixed, self.axes = compose, fixed, axes
        first = [0] * len(axes)
        base = compose(self.overrides(first))
        kept = OmegaConf.masked_copy(base, [str(key) for key in base if key != "hydra"])
        raw = OmegaConf.to_container(kept, resolve=False)
        self.base = plain(base)
        self.parts: dict[tuple[int, int], Any] = {}
        self.valid = not _has_interpolation(raw)
        groups = [place for place, axis in enumerate(axes) if axis.is_group]
        # parents before the groups nested in them, and values last
        self.order = sorted(groups, key=lambda place: axes[place].key.count("."))
        self.order += [place for place, axis in enumerate(axes) if not axis.is_group]
        for place in groups if self.valid else []:
            self.valid = self.valid and self._compose_options(place)
        corner = [len(axis.values) - 1 for axis in axes]
        if self.valid and any(corner):
            self.valid = self._stitched(corner) == plain(compose(self.overrides(corner)))

    def overrides(self, choice: list[int]) -> list[str]:
        """What Hydra is told for one combination."""
        return [*self.fixed, *(axis.overrides[at] for axis, at in zip(self.axes, choice, strict=True))]

    def _compose_options(self, place: int) -> bool:
        """Compose every option of a group once; False if one reaches beyond its own part."""
        axis = self.axes[place]
        path = axis.key.split(".")
        self.parts[place, 0] = take(self.base, path)
        for at in range(1, len(axis.values)):
            choice = [at if other == place else 0 for other in range(len(self.axes))]
            config = plain(self.compose(self.overrides(choice)))
            self.parts[place, at] = take(config, path)
            if put(config, path, None, axis.key) != put(self.base, path, None, axis.key):
                return False
        return True

    def _stitched(self, choice: list[int]) -> Tree:
        config = self.base
        for place in self.order:
            axis, at = self.axes[place], choice[place]
            value = self.parts[place, at] if axis.is_group else axis.values[at]
            config = put(config, axis.key.split("."), value, axis.key)
        return config

    def __call__(self, choice: list[int]) -> Tree:
        """Config of one combination, by index of each axis's value."""
        return self._stitched(choice) if self.valid else plain(self.compose(self.overrides(choice)))


def identify(config: Tree) -> str:
    """Hash what a point computes: its checked config and its trace files.

    Raises
    ------
    ConfigError, TraceError
        If it can't be computed.
    """
    point = Point.build(config)
    contents = []
    for vm in range(point.count):
        work = point.member(vm)[0]
        workload.check(work)
        contents.append(workload.digest(work))
    return text_digest(canonical(point.model_dump()), canonical(contents))[:16]


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
        points.append(PlannedPoint(identify(config), varied, config))
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
