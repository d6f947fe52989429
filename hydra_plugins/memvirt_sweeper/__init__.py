"""The shim by which Hydra 1.3 finds memvirt's sweeper and its plug-ins' configs; all else is in `memvirt.sweep`."""

from __future__ import annotations

from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class MemvirtSweeper(Sweeper):
    """Hands what Hydra has composed to `memvirt.sweep`; it never starts a job through a launcher."""

    def __init__(self, params: Any = None) -> None:
        self.params = dict(params or {})

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what composition needs."""
        self.loader: Any = hydra_context.config_loader
        self.config = config

    def sweep(self, arguments: list[str]) -> Any:
        """Plan and run the grid that the overrides span; returns the folder."""
        from memvirt.sweep.call import Call  # late: Hydra imports plug-ins at every start
        from memvirt.sweep.plan.compose import Composer
        from memvirt.sweep.report import Voice
        from memvirt.sweep.run import sweep

        assert self.config is not None
        return sweep(Call(Composer(self.loader, self.config), arguments, self.params), Voice(True))


class MemvirtPlugins(SearchPathPlugin):
    """Adds each plug-in package's `conf` to the places where options are looked for."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append them."""
        from memvirt.policy import plugin_packages

        for package in plugin_packages():
            search_path.append(provider=package, path=f"pkg://{package}.conf")


ConfigStore.instance().store(
    group="hydra/sweeper",
    name="memvirt",
    node={"_target_": "hydra_plugins.memvirt_sweeper.MemvirtSweeper", "params": {}},
    provider="memvirt",
)
