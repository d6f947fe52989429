"""What a sweep is called with: overrides told from axes, and its settings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

from omegaconf import OmegaConf

from memvirt.digest import text_digest
from memvirt.sweep.plan.choices import Design
from memvirt.sweep.plan.compose import Composer, open_configs
from memvirt.sweep.plan.groups import find_groups
from memvirt.sweep.plan.plan import Plan, make_design, own_settings, parse, plan_design
from memvirt.sweep.plan.words import Words, asks_for_nothing, prepare, read_words
from memvirt.sweep.settings import Settings, read_settings
from memvirt.workload.names import NOTHING


class Call:
    """One call of the sweep, as the user made it.

    Attributes
    ----------
    fixed, axes
        Overrides with one value, and what is swept.
    config : dict
        Keys that are not part of a point.
    settings : Settings
    experiment : str, optional
    flags, folders
        Those that say where options are, and the folders of the user's own.
    """

    def __init__(self, compose: Composer, arguments: list[str], params: dict[str, Any], words: Words | None = None) -> None:
        groups = find_groups([])
        for option_group in compose.loader.list_groups(""):
            groups.setdefault(option_group, [])
        given = [word for word in arguments if not word.startswith("hydra.")]
        self.compose = compose
        searched = [word for word in arguments if word.startswith("hydra.searchpath=")]
        self.flags = [*(words.flags if words is not None else []), *searched]
        self.folders = words.folders if words is not None else []
        self.fixed, self.axes = parse(given, params, groups, compose.loader)
        self.config = own_settings(compose, self.fixed, self.axes)
        self.settings: Settings = read_settings(self.config)
        named = next((word.partition("=")[2] for word in given if word.startswith("experiment=")), None)
        self.experiment = named if named != "null" else None
        self.plain = all(re.split("[=/.]", word)[0] in (*Settings.model_fields, "experiment") for word in given)

    def _keys(self) -> list[str]:
        """Keys and groups that the command line says anything of."""
        return [word.partition("=")[0] for word in self.fixed] + [axis.key for axis in self.axes]

    def leave_out_walks(self) -> None:
        """Have no translation simulated, unless something is said of `workload.detail`."""
        if "workload.detail" not in self._keys():
            self.fixed = [*self.fixed, f"workload.detail={NOTHING}"]

    def mentions(self, groups: Sequence[str]) -> bool:
        """Whether the command line says anything of some groups."""
        return any(key.replace("/", ".").partition(".")[0] in groups for key in self._keys())

    def plan(self, design: Design | None = None) -> Plan:
        """Plan a design: the one that was asked for, if none is given."""
        chosen = design if design is not None else make_design(self.axes, self.config["plan"])
        return plan_design(self.compose, self.fixed, chosen, self.config)

    def overrides(self) -> list[str]:
        """From these the same sweep is made again."""
        swept = []
        for axis in self.axes:
            if axis.interval is not None:
                swept.append(f"{axis.key}={axis.interval}")
            else:
                swept.append(",".join([axis.override(0), *axis.texts[1:]]))
        return [*self.fixed, *swept]

    def name(self, ids: list[str] | None) -> str:
        """Name of the sweep's folder: as given, or the experiment's, with a hash of the points where that isn't run as it is."""
        if self.settings.name is not None:
            return self.settings.name
        if self.experiment and self.plain:
            return self.experiment
        what = ids if ids is not None else [each for each in self.overrides() if each.split("=")[0] not in Settings.model_fields]
        return f"{self.experiment or 'sweep'}-{text_digest(*what)[:8]}"

    def command(self, name: str, more: list[str]) -> str:
        """The command line that makes this sweep."""
        words = [*self.flags, *self.overrides()]
        keys = {word.partition("=")[0] for word in words}
        words += [f"{key}={value}" for key, value in (("output", self.settings.output), ("name", name)) if key not in keys]
        words = [word for word in words if not word.startswith(("resume=", "dry_run=", "overwrite="))]
        return "python -m memvirt.sweep " + shlex.join([*words, *more])


def read_call(words: Sequence[str], otherwise: Sequence[str] = ()) -> Call:
    """Read a command line.

    Parameters
    ----------
    words : sequence of str
        Overrides, and flags that say where options are.
    otherwise : sequence of str
        Overrides that are added where the words ask for nothing to be computed.

    Raises
    ------
    MemvirtError
        If one of them can't be.
    HydraException, OmegaConfBaseException
        The same, before `memvirt.sweep.plan.words.plainly` has put it into words.
    """
    read = read_words(words)
    overrides = prepare(read)
    if asks_for_nothing(overrides):
        overrides += otherwise
    compose = open_configs(overrides, read.folder, read.name)
    given = compose.master.hydra.overrides
    arguments = [str(word) for word in (*given.task, *given.hydra) if not str(word).startswith("hydra.mode=")]
    params = OmegaConf.to_container(compose.master.hydra.sweeper, resolve=True)
    assert isinstance(params, dict)
    return Call(compose, arguments, params.get("params") or {}, read)
