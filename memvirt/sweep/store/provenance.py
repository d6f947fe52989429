"""Where rows come from: which code computed them, of which plans, and how to make them again."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from collections.abc import Sequence
from functools import cache
from typing import Any

from memvirt import __version__
from memvirt.digest import text_digest
from memvirt.pipeline.rooms import ROOMS, room_code
from memvirt.policy import plugin_packages
from memvirt.sweep.plan.plan import Plan

PACKAGES = ("numba", "numpy", "hydra-core", "ray", "pandas", "pyarrow", "scipy", "SALib")  #: whose versions are noted


@cache
def all_code() -> str:
    """Digest of all code that a row can depend on."""
    return text_digest(*(f"{room}:{room_code(room)}" for room in sorted(ROOMS)))


def utc_time() -> str:
    """The time, with its zone."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Versions of what rows depend on."""
    others = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "memvirt": __version__, **others}


def provenance(plans: Sequence[Plan], command: str, overrides: Sequence[str], begun: str) -> dict[str, Any]:
    """What is needed to make the same rows again, and each point's config: the first one's, with its varied keys exchanged.

    Parameters
    ----------
    plans : sequence of Plan
        All that were computed; the first is the one that was asked for.
    command : str
        That makes the same sweep.
    overrides : sequence of str
    begun : str
        When it was.
    """
    plan = plans[0]
    parts = plan.stitch.parts
    axes: dict[str, Any] = {}
    for place, axis in enumerate(plan.axes):
        if axis.is_group and plan.stitch.valid and (place, 0) in parts:
            axes[axis.key] = {text: parts[place, at] for at, text in enumerate(axis.texts)}
        elif axis.interval is not None:
            axes[axis.key] = str(axis.interval)
        else:
            axes[axis.key] = list(axis.values)
    told: dict[str, Any] = {
        "command": command,
        "overrides": list(overrides),
        "code": all_code(),
        "traces": {path: digest for each in plans for path, digest in each.sections.traces.items()},
        "versions": versions(),
        "plugins": plugin_packages(),
        "machine": platform.platform(),
        "begun": begun,
        "ended": utc_time(),
        "points": len(plan),
        "replicates": plan.replicates,
        "config": plan.config(0),
        "axes": axes,
    }
    if plan.stitch.ties:  # groups that reach beyond their part: what each combination of options makes
        told["tied"] = plan.stitch.tied_sections()
    if not plan.stitch.valid:  # options that reach beyond their group: each config for itself
        told["configs"] = [plan.config(number * plan.replicates) for number in range(len(plan.choices))]
    return told
