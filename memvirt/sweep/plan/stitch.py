"""Each option is composed once by Hydra; the configs of a grid are stitched from the parts.

Composing takes a tenth of a second, so a grid is not composed point by point. The base config and one config for
each further option of each swept group are; where an option changes only its own part of the config, a point is the
base with those parts exchanged and the swept values set. Where that doesn't hold (interpolations, options that
reach into other groups), each point is composed for itself.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig, OmegaConf

from memvirt.errors import ConfigError, suggest
from memvirt.sweep.plan.axes import Axis

Tree = dict[str, Any]


class Composer:
    """Composes configs with Hydra, and counts."""

    def __init__(self, loader: ConfigLoaderImpl, master: DictConfig) -> None:
        self.loader, self.master, self.count = loader, master, 0
        self._last: tuple[list[str], DictConfig] | None = None

    def __call__(self, overrides: list[str]) -> DictConfig:
        """Compose one config; the same as the last one is the last one."""
        if self._last is None or self._last[0] != overrides:
            self.count += 1
            self._last = (list(overrides), self.loader.load_sweep_config(self.master, overrides))
        return self._last[1]


def without_hydra(config: DictConfig) -> DictConfig:
    """Leave Hydra's own part out."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def plain(config: DictConfig) -> Tree:
    """Resolve a config, without Hydra's own part."""
    return OmegaConf.to_container(without_hydra(config), resolve=True, throw_on_missing=True)  # type: ignore[return-value]


def interpolates(config: DictConfig) -> bool:
    """Whether a value of a config refers to another."""
    return _has_interpolation(OmegaConf.to_container(without_hydra(config), resolve=False))


def _has_interpolation(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_interpolation, value.values()))
    if isinstance(value, list):
        return any(map(_has_interpolation, value))
    return isinstance(value, str) and "${" in value


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
    """Makes each combination's config of parts that were composed once.

    Attributes
    ----------
    base : dict
        Config of the first value of each axis.
    options : dict of str
        Which option of each group the base has.
    valid : bool
        Whether stitching gives what composing would; if not, each config is composed.
    """

    def __init__(self, compose: Composer, fixed: list[str], axes: list[Axis]) -> None:
        self.compose, self.fixed, self.axes = compose, fixed, axes
        first = tuple([0] * len(axes))
        base = compose(self.overrides(first))
        self.base = plain(base)
        self.options = {str(group): str(option) for group, option in base.hydra.runtime.choices.items()}
        self.parts: dict[tuple[int, int], Any] = {}
        self.valid = not interpolates(base)
        groups = [place for place, axis in enumerate(axes) if axis.is_group]
        # parents before the groups nested in them, and values last
        self.order = sorted(groups, key=lambda place: axes[place].key.count("."))
        self.order += [place for place, axis in enumerate(axes) if not axis.is_group]
        self.of_section: dict[str, list[int]] = {}
        for place in self.order:
            self.of_section.setdefault(axes[place].key.partition(".")[0], []).append(place)
        for place in groups if self.valid else []:
            self.valid = self.valid and self._compose_options(place)
        corner = tuple(len(axis.values) - 1 for axis in axes)
        if self.valid and any(corner):
            self.valid = self._stitched(corner) == plain(compose(self.overrides(corner)))

    def revalued(self, axes: list[Axis]) -> Stitcher:
        """The same, with other values for axes that aren't groups; nothing is composed again."""
        other = copy.copy(self)
        other.axes = axes
        return other

    def overrides(self, choice: Sequence[int]) -> list[str]:
        """What Hydra is told for one combination."""
        return [*self.fixed, *(axis.override(at) for axis, at in zip(self.axes, choice, strict=True))]

    def _compose_options(self, place: int) -> bool:
        """Compose every option of a group once; False if one reaches beyond its own part."""
        axis = self.axes[place]
        path = axis.key.split(".")
        self.parts[place, 0] = take(self.base, path)
        for at in range(1, len(axis.values)):
            choice = [at if other == place else 0 for other in range(len(self.axes))]
            composed = self.compose(self.overrides(choice))
            config = plain(composed)
            self.parts[place, at] = take(config, path)
            if interpolates(composed) or put(config, path, None, axis.key) != put(self.base, path, None, axis.key):
                return False
        return True

    def section(self, name: str, choice: Sequence[int]) -> Any:
        """One top-level part of a combination's config; only where stitching is valid."""
        tree: Tree = {name: self.base[name]} if name in self.base else dict(self.base)
        for place in self.of_section.get(name, ()):
            axis, at = self.axes[place], choice[place]
            value = self.parts[place, at] if axis.is_group else axis.values[at]
            tree = put(tree, axis.key.split("."), value, axis.key)
        return tree[name]

    def _stitched(self, choice: Sequence[int]) -> Tree:
        changed = {name: self.section(name, choice) for name in self.of_section}
        return {**self.base, **changed}

    def __call__(self, choice: Sequence[int]) -> Tree:
        """Config of one combination, by the place of each axis's value."""
        return self._stitched(choice) if self.valid else plain(self.compose(self.overrides(choice)))
