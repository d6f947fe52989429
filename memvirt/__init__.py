"""memvirt: what does this memory-virtualization design cost this workload?

From Python: `make_point`, `simulate`, `run_sweep`, `read`, `draw` and `steps`, which `memvirt.api` describes; they are loaded when
they are first used. From the command line: ``python -m memvirt``.
"""

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from memvirt.errors import CapacityError, ConfigError, MemvirtError, TraceError

API = ("draw", "make_point", "read", "run_sweep", "simulate", "steps")

__all__ = ["CapacityError", "ConfigError", "MemvirtError", "TraceError", *API]

try:
    __version__ = version("memvirt")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    if name in API:
        return getattr(importlib.import_module("memvirt.api"), name)
    raise AttributeError(f"module 'memvirt' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *API])
