"""Overrides as people write them: checked where Hydra doesn't say well enough what is wrong, and rewritten as it takes them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from memvirt.errors import ConfigError, MemvirtError, suggest
from memvirt.sweep.plan.axes import is_optional, written
from memvirt.sweep.plan.compose import as_of_hydra_1_3
from memvirt.sweep.plan.groups import EXPERIMENT_KEYS, RUN_KEYS, all_keys, find_groups, reached_sections
from memvirt.sweep.plan.unmodelled import unmodelled

#: Flags of Hydra's that say where options are, and so belong to a sweep; each is followed by its value.
PLACES = {"--config-dir": "folder", "-cd": "folder", "--config-name": "name", "-cn": "name"}
#: Flags that don't matter: a sweep is always one.
IDLE = ("-m", "--multirun")
DEFAULT = "experiment=default"  #: what is computed where nothing is asked for


class Words(NamedTuple):
    """A command line, taken apart.

    Attributes
    ----------
    overrides : list of str
    flags : list of str
        Those of `PLACES`, with their values; a resumed or repeated sweep needs them again.
    folder : Path, optional
        Of the user's own options.
    searched : list of Path
        More such folders, by ``hydra.searchpath``.
    name : str
        Of the config to begin with.
    """

    overrides: list[str]
    flags: list[str]
    folder: Path | None
    name: str
    searched: list[Path]

    @property
    def folders(self) -> list[Path]:
        """All of the user's own."""
        return [*([self.folder] if self.folder is not None else []), *self.searched]


def refuse_completion(flag: str) -> None:
    """Say what Hydra's flag for completion is here.

    Raises
    ------
    MemvirtError
    """
    if flag in ("--shell-completion", "-sc"):
        raise MemvirtError('--shell-completion: is `eval "$(memvirt completion bash)"` here, or zsh')


def read_words(words: Sequence[str]) -> Words:
    """Tell flags from overrides.

    Raises
    ------
    MemvirtError
        For a flag that isn't one of `PLACES`, or lacks its value.
    """
    overrides, flags = [], []
    found: dict[str, str] = {}
    rest = iter(word for word in words if word not in IDLE)
    for word in rest:
        flag, equals, value = word.partition("=")
        if not word.startswith("-"):
            overrides.append(word)
            continue
        if flag not in PLACES:
            refuse_completion(flag)
            raise MemvirtError(f"{word}: there is no such flag; {suggest(flag, PLACES)}")
        if not equals:
            value = next(rest, "")
        if not value:
            raise MemvirtError(f"{word}: needs a value")
        found[PLACES[flag]] = value
        flags += [flag, value]
    folder = Path(found["folder"]) if "folder" in found else None
    return Words(overrides, flags, folder, found.get("name", "config"), _searched(overrides))


def _searched(overrides: Sequence[str]) -> list[Path]:
    """Folders that ``hydra.searchpath`` names.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    found = []
    for word in overrides:
        key, _, value = word.partition("=")
        for each in value.strip("[] ").split(",") if key == "hydra.searchpath" else ():
            scheme, _, place = each.strip(" '\"").rpartition("://")
            if scheme != "pkg":
                found.append(Path(place))
            if (scheme == "file" and not found[-1].is_dir()) or scheme == "":
                why = "there is no such folder" if scheme else "a folder is written file://FOLDER, a package pkg://NAME"
                raise ConfigError(key, each, why)
    return found


def as_hydra_writes(override: str, groups: dict[str, list[str]]) -> str:
    """Rewrite an override of a group given with dots, and check what it chooses.

    Raises
    ------
    ConfigError
        For an unknown group or option, and for additions and deletions.
    """
    key, equals, value = override.partition("=")
    top = re.split(r"[./]", key.lstrip("+~"))[0]
    known = {group.partition("/")[0] for group in groups} | {*RUN_KEYS, *EXPERIMENT_KEYS, "replicates"}
    if key[:1] == "+" and is_optional(key.lstrip("+")):
        return _of_a_value(key.lstrip("+"), value)
    if key[:1] in ("+", "~") and top != "hydra":
        if key[0] == "~":
            raise MemvirtError(f"{override}: keys can't be taken away; choose another option or value for it")
        if top in known:
            raise MemvirtError(f"{override}: keys can't be added; write it without the +")
        raise MemvirtError(f"{override}: keys can't be added; {suggest(top, [*RUN_KEYS, *groups])}")
    if not equals:
        raise MemvirtError(f"{override}: an override is written KEY=VALUE")
    if top not in known:
        raise ConfigError(key, value, f"there is no such key; {suggest(top, known)}")
    group = key.replace(".", "/")
    if top == "hydra":
        return _hydras_own(override)
    if group not in groups:
        return _of_a_value(key, value)
    if value.strip() in ("", "null") and not (group == "experiment" and value.strip()):
        raise ConfigError(key, value, "must name one of the group's options", groups[group])
    if value.strip()[:1] in "{[":
        raise ConfigError(key, value, "must name one of the group's options, or several with commas between", groups[group])
    if re.fullmatch(r"[\w,\s.-]*", value):
        for option in (word.strip() for word in value.split(",")):
            if option not in groups[group] and not (group == "experiment" and option == "null"):
                raise ConfigError(key, option, "there is no such option", groups[group])
    return f"{group}={value}"


def _hydras_own(override: str) -> str:
    """Check an override of Hydra's own part: the sweep starts no job of Hydra's, in no folder of Hydra's."""
    if re.match(r"\+*hydra\.(run\.dir|sweep\.(dir|subdir)|output_subdir|job\.chdir)=", override):
        raise MemvirtError(f"{override}: a sweep's folder is output=FOLDER and name=NAME, and it changes into no other")
    return override


def _of_a_value(key: str, value: str) -> str:
    """Write an override of a key that is no group as Hydra takes it.

    Raises
    ------
    ConfigError
    """
    if value.lstrip().startswith("glob("):
        raise ConfigError(
            key, value, "glob() chooses among a group's options, and this is a key: write its values with commas between"
        )
    value = value.replace("${hydra:runtime.cwd}", os.getcwd())
    if "=" in value and not set(value) & set("'\"\\[]{}(),"):
        value = f"'{value}'"  # as it stands, which to Hydra would be two overrides
    if "=" in value and "'" not in value and '"' not in value and value[:1] not in "{[" and "(" not in value:
        raise ConfigError(key, value, f"a value with = is quoted, each by itself: {key}=\"'A=B','C=D'\"")
    if "${hydra:" in value:
        raise ConfigError(key, value, "of Hydra's values only ${hydra:runtime.cwd} is known: a sweep starts no job of Hydra's")
    return f"{written(key)}={value}"


def below_swept(overrides: list[str], groups: dict[str, list[str]]) -> list[str]:
    """Make single values below a swept group choices of one: what isn't swept is set while the default option may lack it."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(overrides)
    chosen = [each.key_or_group for each in parsed if each.is_sweep_override() and each.key_or_group in groups]
    reached = {section for group in chosen for option in groups[group] for section in reached_sections(group, option)}
    swept = [each.replace("/", ".") + "." for each in [*chosen, *reached]]
    return [
        f"{each.key_or_group}=choice({word.partition('=')[2]})"
        if not each.is_sweep_override() and each.key_or_group not in groups and each.key_or_group.startswith(tuple(swept))
        else word
        for each, word in zip(parsed, overrides, strict=True)
    ]


def prepare(words: Words) -> list[str]:
    """Make the overrides that Hydra gets of those that were given.

    Raises
    ------
    ConfigError
    """
    groups = find_groups(words.folders)
    return below_swept([as_hydra_writes(override, groups) for override in words.overrides], groups)


def asks_for_nothing(overrides: Sequence[str]) -> bool:
    """Whether overrides say at the most how a sweep runs, and not what it computes."""
    return all(re.split(r"[./=]", word)[0] in (*RUN_KEYS, "replicates") for word in overrides)


@contextlib.contextmanager
def _working_folder() -> Iterator[None]:
    """Answer ``${hydra:runtime.cwd}`` in configs, which Hydra itself does for jobs that it starts."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.utils import setup_globals
    from omegaconf import OmegaConf

    def answer(key: str) -> str:
        if key != "runtime.cwd":
            raise MemvirtError(
                f"${{hydra:{key}}}: of Hydra's values only ${{hydra:runtime.cwd}} is known: no job of Hydra's is started"
            )
        return os.getcwd()

    if HydraConfig.initialized():
        yield
        return
    known = OmegaConf.has_resolver("hydra")
    OmegaConf.register_new_resolver("hydra", answer, replace=True)
    try:
        yield
    finally:
        OmegaConf.clear_resolver("hydra")
        if known:
            setup_globals()


@contextlib.contextmanager
def plainly(words: Sequence[str]) -> Iterator[None]:
    """Use Hydra, as of its version 1.3, and say what it or OmegaConf find wrong with some words as memvirt says it.

    Raises
    ------
    MemvirtError
        Instead of theirs.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        with as_of_hydra_1_3(), _working_folder():
            yield
    except (HydraException, OmegaConfBaseException) as wrong:
        raise _plain(wrong, words) from wrong


def _plain(wrong: BaseException, words: Sequence[str]) -> MemvirtError:
    text = " ".join(str(wrong).split())
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        key = unknown[1]
        value = next((word.partition("=")[2] for word in words if word.partition("=")[0] == key), "")
        if key in all_keys():
            return ConfigError(key, value, f"there is no such key in the option that is chosen for {key.partition('.')[0]}")
        if said := unmodelled(key):
            return ConfigError(key, value, said)
        hint = suggest(key, all_keys())
        return ConfigError(key, value, "there is no such key" + (f"; {hint}" if hint.startswith("did") else ""))
    missing = re.search(r"Could not find '([^']+)'", text)
    if missing:
        return MemvirtError(f"{missing[1]}: there is no such option")
    return MemvirtError(text.partition(" See https")[0])
