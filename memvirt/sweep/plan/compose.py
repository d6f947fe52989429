"""Configs composed by Hydra, through its loader alone: none of what Hydra keeps for a whole process is left changed."""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, IConfigRepository
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.plugins.config_source import ConfigResult
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


class FilesReadOnce(CachingConfigRepository):
    """Options as their files have them, each read once: Hydra reads 30 to 40 files anew for each config that it composes."""

    def __init__(self, delegate: IConfigRepository, known: dict[str, ConfigResult | None]) -> None:
        self.delegate, self.cache = delegate, known

    def __deepcopy__(self, memo: object) -> FilesReadOnce:
        return self  # Hydra copies it for each config, and with it all that was read

    def load_config(self, config_path: str) -> ConfigResult | None:
        """What a file says; None if there is none."""
        if config_path not in self.cache:
            self.cache[config_path] = self.delegate.load_config(config_path=config_path)
        return copy.deepcopy(self.cache[config_path])  # whose values become the config's own, to be overridden


_OWN: dict[str, ConfigResult | None] = {}  #: what the files of memvirt and its plug-ins say


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
    others = folder is not None or any(word.startswith("hydra.searchpath") for word in overrides)
    repository: Any = FilesReadOnce(loader.repository, {} if others else _OWN)
    loader.repository = repository
    with as_of_hydra_1_3():
        return Composer(loader, loader.load_configuration(name, overrides, RunMode.MULTIRUN))
