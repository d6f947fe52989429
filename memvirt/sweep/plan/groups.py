"""Which config groups and options there are: the folders and files of every `conf` in reach."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from memvirt.policy import plugin_packages

#: Top-level keys that say how a sweep runs and not what it computes, so that giving them leaves the default grid as it is.
RUN_KEYS = (
    "name", "output", "resume", "overwrite", "reuse", "reuse_limit", "dry_run", "figures", "report", "fail_on_error",
    "max_failures", "timeout", "executor", "hydra",
)  # fmt: skip
#: Top-level keys that an experiment has of its own, and makes others from.
EXPERIMENT_KEYS = ("ksm",)
#: Keys of the composed config that are not part of a point. A machine is what its parts say.
NOT_OF_A_POINT = (*RUN_KEYS, *EXPERIMENT_KEYS, "plan", "study", "replicates", "experiment", "machine")
#: Those of them that can't be swept.
NOT_SWEPT = set(NOT_OF_A_POINT) - {*EXPERIMENT_KEYS, "machine"}


def conf_folders() -> list[Path]:
    """The `conf` folder of memvirt and of each plug-in."""
    found = []
    for package in ["memvirt", *plugin_packages()]:
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            found.append(Path(place) / "conf")
    return found


def find_groups(more: list[Path]) -> dict[str, list[str]]:
    """Options of each group, nested groups written with slashes.

    Parameters
    ----------
    more : list of Path
        Folders besides the packages' own.
    """
    groups: dict[str, set[str]] = {}
    for folder in [*conf_folders(), *more]:
        for path in folder.rglob("*.yaml"):
            group = path.parent.relative_to(folder).as_posix()
            if group != ".":
                groups.setdefault(group, set()).add(path.stem)
    return {group: sorted(options) for group, options in groups.items()}


def _content(group: str, option: str, more: Sequence[Path] = ()) -> tuple[dict[str, Any], bool]:
    """What an option's file says, and whether its keys are the whole config's (the package ``_global_``)."""
    for folder in [*conf_folders(), *more]:
        path = folder / group / f"{option}.yaml"
        if path.is_file():
            return _read_option(path, path.stat().st_mtime_ns)
    return {}, False


@cache
def _read_option(path: Path, written: int) -> tuple[dict[str, Any], bool]:
    """The same of a file that was ``written`` then; not to be changed."""
    from omegaconf import OmegaConf

    text = path.read_text()
    found = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    return (found if isinstance(found, dict) else {}), "@package _global_" in text.partition("\n")[0]  # type: ignore[return-value]


def overridden(group: str, option: str, more: Sequence[Path] = ()) -> dict[str, str]:
    """Which options of other groups an option chooses.

    Parameters
    ----------
    group, option : str
    more : list of Path
        Folders besides the packages' own.
    """
    defaults = _content(group, option, more)[0].get("defaults") or []
    chosen = [next(iter(each.items())) for each in defaults if isinstance(each, dict)]
    return {key.removeprefix("override /"): str(value) for key, value in chosen if key.startswith("override /")}


def belongs(machine: str, more: Sequence[Path] = ()) -> dict[str, set[str]]:
    """Options of other groups that are a machine's: those that it chooses, and those that it says go with it."""
    found = {group: {option} for group, option in overridden("machine", machine, more).items()}
    told = _content("machine", machine, more)[0].get("machine")
    for group, options in (told.get("goes_with") or {}).items() if isinstance(told, dict) else ():
        found[group] = found.get(group, set()) | set(options)
    return found


def reached_sections(group: str, option: str) -> set[str]:
    """Sections beyond its own group that an option sets values or chooses options of."""
    content, is_global = _content(group, option)
    sections = {each.partition("/")[0] for each in overridden(group, option)}
    return sections | ({str(name) for name in content if name != "defaults"} - {group} if is_global else set())


@cache
def all_keys() -> list[str]:
    """Every key of every option, dotted: what a misspelt key is compared with."""
    from omegaconf import OmegaConf

    keys: set[str] = set()

    def walk(prefix: str, node: Any) -> None:
        for name, value in node.items():
            keys.add(f"{prefix}{name}")
            if isinstance(value, dict):
                walk(f"{prefix}{name}.", value)

    for folder in conf_folders():
        for path in folder.rglob("*.yaml"):
            group = path.parent.relative_to(folder).as_posix()
            if group != "experiment":
                node = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
                prefix = "" if group == "." else group.replace("/", ".") + "."
                walk(prefix, {k: v for k, v in node.items() if k != "defaults"} if isinstance(node, dict) else {})
    return sorted(keys)
