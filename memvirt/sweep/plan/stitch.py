"""Each option is composed once by Hydra; the configs of a grid are stitched from the parts.

Composing takes a tenth of a second, so a grid is not composed point by point. The base config and one config for
each further option of each swept group are; where an option changes only its own part of the config, a point is the
base with those parts exchanged and the swept values set. A group whose options reach beyond it (a machine sets TLBs, caches and
prices) *ties* the sections that it reaches: each of those is composed once for each combination of the groups that reach it. Where
neither holds (interpolations, options that include others), each point is composed for itself.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from memvirt.errors import ConfigError, suggest
from memvirt.sweep.plan.axes import Axis
from memvirt.sweep.plan.compose import Composer

Tree = dict[str, Any]


def plain(config: DictConfig) -> Tree:
    """Resolve a config, without Hydra's own part."""
    return {key: _contained(config[key], resolve=True, throw_on_missing=True) for key in map(str, config) if key != "hydra"}


def interpolates(config: DictConfig) -> bool:
    """Whether a value of a config refers to another."""
    keys = [str(key) for key in config if key != "hydra"]
    return any(
        OmegaConf.is_interpolation(config, key) or _has_interpolation(_contained(config[key], resolve=False)) for key in keys
    )


def _contained(value: Any, **how: bool) -> Any:
    return OmegaConf.to_container(value, **how) if OmegaConf.is_config(value) else value  # type: ignore[arg-type]


def _has_interpolation(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_interpolation, value.values()))
    if isinstance(value, list):
        return any(map(_has_interpolation, value))
    return isinstance(value, str) and "${" in value


def writes(compose: Composer, group: str, option: str) -> set[str] | None:
    """Sections that an option's file writes values into; None if it includes other files, or names a package of another kind."""
    found = compose.loader.repository.load_config(f"{group}/{option}")
    if found is None or not isinstance(found.config, DictConfig):
        return None
    if any(not (each.is_self() or each.is_override()) for each in found.defaults_list or []):
        return None
    package = found.header.get("package")
    if package is None:
        return {group.partition("/")[0]}
    return {str(name) for name in found.config} if package == "_global_" else None


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


def has(config: Any, path: list[str]) -> bool:
    """Whether a config has a part."""
    for name in path:
        if not isinstance(config, dict) or name not in config:
            return False
        config = config[name]
    return True


def choices(config: DictConfig) -> dict[str, str]:
    """Which option of each group a composed config has."""
    return {str(group): str(option) for group, option in config.hydra.runtime.choices.items()}


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
    parts : dict
        By axis and option, the part of a group that keeps to itself.
    ties : dict
        By section, the axes by whose options it is composed: one of them at least reaches beyond its own part.
    of_section : dict
        By section, all axes that it depends on.
    valid : bool
        Whether stitching gives what composing would; if not, each config is composed.
    """

    def __init__(self, compose: Composer, fixed: list[str], axes: list[Axis]) -> None:
        self.compose, self.fixed, self.axes = compose, fixed, axes
        self._first = tuple([0] * len(axes))
        self._composed: dict[tuple[int, ...], Tree] = {}
        self._choices: dict[tuple[int, int], dict[str, str]] = {}
        base = compose(self.overrides(self._first))
        self.base = self._composed[self._first] = plain(base)
        self.options = choices(base)
        self.parts: dict[tuple[int, int], Any] = {}
        self.valid = not interpolates(base)
        groups = [place for place, axis in enumerate(axes) if axis.is_group]
        # parents before the groups nested in them, and values last
        self.order = sorted(groups, key=lambda place: axes[place].key.count("."))
        self.order += [place for place, axis in enumerate(axes) if not axis.is_group]
        reached: dict[int, set[str]] = {}
        for place in groups if self.valid else []:
            reached[place] = self._compose_options(place)
        self.ties: dict[str, tuple[int, ...]] = {}
        for section in set[str]().union(*(found for place, found in reached.items() if not self._keeps_to_itself(place))):
            self.ties[section] = tuple(place for place in groups if section in reached[place])
        self.of_section: dict[str, list[int]] = {}
        for place in self.order:
            for section in reached.get(place) or {self._section_of(place)}:
                self.of_section.setdefault(section, []).append(place)
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

    def _section_of(self, place: int) -> str:
        return self.axes[place].key.partition(".")[0]

    def _keeps_to_itself(self, place: int) -> bool:
        return (place, 0) in self.parts

    def _at(self, place: int, at: int) -> tuple[int, ...]:
        return (*self._first[:place], at, *self._first[place + 1 :])

    def _compose_options(self, place: int) -> set[str]:
        """Compose every option of a group once; the sections that they reach. Its `parts` are left out if it reaches others."""
        axis = self.axes[place]
        path = axis.key.split(".")
        own = has(self.base, path)
        reached = {path[0]} if own else set()
        parts = {(place, 0): take(self.base, path)} if own else {}
        for at in range(1, len(axis.values)):
            composed = self.compose(self.overrides(self._at(place, at)))
            config = self._composed[self._at(place, at)] = plain(composed)
            self._choices[place, at] = choices(composed)
            self.valid = self.valid and not interpolates(composed)
            reached |= {name for name in {*config, *self.base} if config.get(name) != self.base.get(name)}
            own = own and has(config, path)
            own = own and put(config, path, None, axis.key) == put(self.base, path, None, axis.key)
            if own:
                parts[place, at] = take(config, path)
        if own:
            self.parts |= parts
            return {path[0]}
        for option in axis.texts:  # what it writes may differ from another option's only beside an option of a third group
            written = writes(self.compose, axis.key.replace(".", "/"), option)
            self.valid = self.valid and written is not None
            reached |= written or set()
        return reached

    def option(self, group: str, choice: Sequence[int]) -> str:
        """Which option of a group a combination has.

        Parameters
        ----------
        group : str
            Written with slashes.
        """
        chosen = self.options[group]
        for place, axis in enumerate(self.axes):
            if axis.key.replace(".", "/") == group:
                return axis.texts[choice[place]]
            found = self._choices.get((place, choice[place]), self.options)[group]
            chosen = found if found != self.options[group] else chosen
        return chosen

    def matters(self, place: int, key: str) -> bool:
        """Whether a key's value may depend on an axis."""
        axis = self.axes[place].key
        nested = axis == key or axis.startswith(f"{key}.") or key.startswith(f"{axis}.")
        reaches = self.axes[place].is_group and not self._keeps_to_itself(place)
        return nested or (reaches and place in self.of_section.get(key.partition(".")[0], ()))

    def section(self, name: str, choice: Sequence[int]) -> Any:
        """One top-level part of a combination's config; only where stitching is valid."""
        tied = self.ties.get(name, ())
        tree: Tree = self._tied(name, choice) if tied else {name: self.base[name]} if name in self.base else dict(self.base)
        for place in self.of_section.get(name, ()):
            axis, at = self.axes[place], choice[place]
            if place not in tied:
                tree = put(tree, axis.key.split("."), self.parts[place, at] if axis.is_group else axis.values[at], axis.key)
        return tree[name]

    def _tied(self, name: str, choice: Sequence[int]) -> Tree:
        """The section as it is composed with the options of all axes that it is tied to."""
        tied = self.ties[name]
        here = tuple(at if place in tied else 0 for place, at in enumerate(choice))
        if here not in self._composed:
            self._composed[here] = plain(self.compose(self.overrides(here)))
        return {name: self._composed[here][name]}

    def tied_sections(self) -> list[dict[str, Any]]:
        """What was composed of sections that are tied: which options of which groups make which section."""
        found: dict[str, dict[str, Any]] = {}
        for here, config in self._composed.items():
            for name, tied in self.ties.items():
                if name in config and all(at == 0 or place in tied for place, at in enumerate(here)):
                    of = {self.axes[place].key: self.axes[place].texts[here[place]] for place in tied}
                    found[f"{name} {of}"] = {"section": name, "options": of, "config": config[name]}
        return list(found.values())

    def _stitched(self, choice: Sequence[int]) -> Tree:
        changed = {name: self.section(name, choice) for name in self.of_section}
        return {**self.base, **changed}

    def __call__(self, choice: Sequence[int]) -> Tree:
        """Config of one combination, by the place of each axis's value."""
        return self._stitched(choice) if self.valid else plain(self.compose(self.overrides(choice)))
