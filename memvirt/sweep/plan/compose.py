"""Configs composed by Hydra, through its loader alone: none of what Hydra keeps for a whole process is left changed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.types import RunMode
from omegaconf import DictConfig

from memvirt.errors import ConfigError

CONFIGS = "pkg://memvirt.conf"


@contextlib.contextmanager
def as_of_hydra_1_3() -> Iterator[None]:
    """Have Hydra behave as version 1.3 does; what was set before holds again afterwards."""
    chosen = version.VersionBase.instance()
    before = chosen.version_base
    version.setbase("1.3")
    try:
        yield
    finally:
        chosen.version_base = before


class Composer:
    """Composes configs with Hydra.

    Attributes
    ----------
    loader : ConfigLoaderImpl
        Hydra's, which knows where options are.
    master : DictConfig
        The config of the call as a whole; where Hydra's own part stands in it, so does an experiment's grid.
    count : int
        How many configs were composed.
    """

    def __init__(self, loader: ConfigLoaderImpl, master: DictConfig) -> None:
        self.loader, self.master, self.count = loader, master, 0
        # where nothing sweeps, the call as a whole is the one config that is asked for
        self._last: tuple[list[str], DictConfig] = (list(master.hydra.overrides.task), master)

    def __call__(self, overrides: list[str]) -> DictConfig:
        """Compose one config; the same as the last one is the last one."""
        if self._last[0] != overrides:
            self.count += 1
            with as_of_hydra_1_3():
                self._last = (list(overrides), self.loader.load_sweep_config(self.master, overrides))
        self.count = max(self.count, 1)
        return self._last[1]


def open_configs(overrides: list[str], folder: Path | None = None, name: str = "config") -> Composer:
    """Compose the config of a call as a whole.

    Parameters
    ----------
    overrides : list of str
        As Hydra takes them; those that sweep change nothing yet.
    folder : Path, optional
        Options of the user's own, besides memvirt's and its plug-ins'.
    name : str
        Of the config to begin with.

    Raises
    ------
    ConfigError
        If there is no such folder.
    HydraException
        If an override can't be.
    """
    places = create_config_search_path(CONFIGS)
    if folder is not None:
        if not folder.is_dir():
            raise ConfigError("--config-dir", folder, "there is no such folder")
        places.prepend("command-line", f"file://{os.path.abspath(folder)}", SearchPathQuery(provider="schema"))
    loader = ConfigLoaderImpl(places)
    with as_of_hydra_1_3():
        return Composer(loader, loader.load_configuration(name, overrides, RunMode.MULTIRUN))
