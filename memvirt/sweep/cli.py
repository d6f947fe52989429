"""The command line: what Hydra doesn't say well enough is checked before it, what it raises becomes one line."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from memvirt.errors import ConfigError, MemvirtError, suggest
from memvirt.sweep.plan.groups import EXPERIMENT_KEYS, RUN_KEYS, find_groups, reached_sections

#: Flags of Hydra's that take a value.
WITH_VALUE = (
    "--config-dir",
    "--config-name",
    "--config-path",
    "-cd",
    "-cn",
    "-cp",
    "--cfg",
    "-c",
    "--package",
    "-p",
    "--experimental-rerun",
)


def split_flags(argv: list[str]) -> tuple[list[str], list[str]]:
    """Tell Hydra's flags (with their values) from overrides."""
    flags, overrides = [], []
    waiting = False
    for word in argv:
        if waiting or word.startswith("-"):
            flags.append(word)
            waiting = not waiting and word in WITH_VALUE
        else:
            overrides.append(word)
    return flags, overrides


def config_dirs(flags: list[str]) -> list[Path]:
    """Folders of the user's own options."""
    found = []
    for place, word in enumerate(flags):
        if word in ("--config-dir", "-cd") and place + 1 < len(flags):
            found.append(Path(flags[place + 1]))
        elif word.startswith("--config-dir="):
            found.append(Path(word.partition("=")[2]))
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
    if group not in groups or top == "hydra":
        return override
    if value.strip() in ("", "null") and not (group == "experiment" and value.strip()):
        raise ConfigError(key, value, "must name one of the group's options", groups[group])
    if value.strip()[:1] in "{[":
        raise ConfigError(key, value, "must name one of the group's options, or several with commas between", groups[group])
    if re.fullmatch(r"[\w,\s.-]*", value):
        for option in (word.strip() for word in value.split(",")):
            if option not in groups[group] and not (group == "experiment" and option == "null"):
                raise ConfigError(key, option, "there is no such option", groups[group])
    return f"{group}={value}"


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


def prepare(argv: list[str]) -> list[str]:
    """Make the arguments that Hydra gets of those that were given."""
    flags, overrides = split_flags([word for word in argv if word not in ("-m", "--multirun")])  # it is always one
    groups = find_groups(config_dirs(flags))
    rewritten = [as_hydra_writes(override, groups) for override in overrides]
    changing = [word for word in rewritten if re.split(r"[./=]", word)[0] not in (*RUN_KEYS, "replicates")]
    if not changing and not any(flag in flags for flag in ("--hydra-help", "--version", "--info", "-i")):
        rewritten.append("experiment=default")
    return [*flags, *below_swept(rewritten, groups)]


def one_line(wrong: BaseException, argv: list[str]) -> str:
    """Say in one line what Hydra or OmegaConf found wrong."""
    text = " ".join(str(wrong).split())
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        key = unknown[1]
        value = next((word.partition("=")[2] for word in argv if word.partition("=")[0] == key), "")
        said = f"{key}={value}" if value else key
        from memvirt.sweep.plan.groups import all_keys

        if key in all_keys():
            return f"{said}: there is no such key in the option that is chosen for {key.partition('.')[0]}"
        hint = suggest(key, all_keys())
        return f"{said}: there is no such key" + (f"; {hint}" if hint.startswith("did") else "")
    missing = re.search(r"Could not find '([^']+)'", text)
    if missing:
        return f"{missing[1]}: there is no such option"
    return text.partition(" See https")[0]


def main(argv: list[str] | None = None) -> int:
    """Run a sweep; 2 for a bad argument or config, 1 for failed rows if asked to, 130 after Ctrl-C."""
    given = sys.argv[1:] if argv is None else argv
    os.environ["HYDRA_FULL_ERROR"] = "1"  # have Hydra raise, not print
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        arguments = prepare(given)
        return _call_hydra(arguments)
    except (MemvirtError, HydraException, OmegaConfBaseException) as wrong:
        text = str(wrong) if isinstance(wrong, MemvirtError) else one_line(wrong, given)
        print(f"memvirt.sweep: {text}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _call_hydra(arguments: list[str]) -> int:
    import hydra

    result: list[int] = []

    def never(config: Any) -> None:
        raise AssertionError("the sweeper starts no Hydra job")

    application = hydra.main(version_base="1.3", config_path="pkg://memvirt.conf", config_name="config")(never)
    before = sys.argv
    sys.argv = ["python -m memvirt.sweep", *arguments]
    from memvirt.sweep import run

    run.finished = result.append
    run.flags[:] = split_flags(arguments)[0]
    try:
        application()
    finally:
        sys.argv = before
    return result[-1] if result else 0
