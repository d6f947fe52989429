"""Page lives by name: which workloads are lives, what they are made of, and what stands for their CPU's work."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from memvirt.digest import file_stamp
from memvirt.errors import ConfigError, TraceError
from memvirt.policy import load, names
from memvirt.types import Trace
from memvirt.workload.config import Workload
from memvirt.workload.life import FAMILY, Asked, Life
from memvirt.workload.names import NOTHING
from memvirt.workload.visits import as_trace


def is_life(config: Workload) -> bool:
    """Whether a workload is a page life, so that what its CPU does is `detail_of` it."""
    return config.name in names(FAMILY)


def detail_of(config: Workload) -> Workload | None:
    """The access-level workload that stands for what a life's CPU does; None where nothing is to be known of that.

    Raises
    ------
    ConfigError
        If it isn't one.
    """
    chosen: Any = config.detail if config.detail is not None else load(FAMILY, config.name).DETAIL
    if chosen == NOTHING:
        return None
    wanted = {"name": chosen} if isinstance(chosen, str) else dict(chosen)
    if wanted.get("name") in names(FAMILY):
        raise ConfigError("workload.detail", wanted["name"], "is a page life itself; it must be an access-level workload")
    return Workload.model_validate(wanted)


def check_life(config: Workload) -> None:
    """Refuse a life that can't be made, or that has keys of access-level workloads.

    Raises
    ------
    TraceError
        If the table behind it is missing or malformed.
    ConfigError
    """
    if config.fetches:
        raise ConfigError("workload.fetches", True, f"{config.name} is a page life and fetches nothing; set it of workload.detail")
    life = life_of(config)
    if 1 <= config.warmup >= life.times[-1]:
        raise ConfigError("workload.warmup", config.warmup, f"leaves nothing of a life of {life.times[-1]:g} s")


def life_of(config: Workload, vm: int = 0, vcpus: int = 1) -> Life:
    """What a VM does with all of its pages."""
    stamp = file_stamp(Path(config.path)) if config.path else (0, 0)
    options = tuple(sorted(config.options.items()))
    return _made(config.name, Asked(-(-config.footprint // 4096), config.seed, vm, vcpus, config.path), options, stamp)


@lru_cache(maxsize=256)
def _made(name: str, asked: Asked, options: tuple[tuple[str, Any], ...], stamp: tuple[int, int]) -> Life:
    module = load(FAMILY, name, "workload")
    life: Life = module.make(asked, **{**module.OPTIONS, **dict(options)})
    return life


def trace_of(config: Workload, vm: int, scale: float, vcpus: int, salt: int) -> Trace:
    """The trace of a VM's life; as `as_trace`."""
    trace = as_trace(life_of(config, vm, vcpus), scale, config.seed + vm, salt, vcpus)
    if not trace.accesses:
        raise TraceError(config.path or config.name, "", "visits no page")
    return trace
