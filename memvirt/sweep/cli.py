"""The command line of `python -m memvirt.sweep`: the Python face's `run_sweep`, and what Hydra itself can be asked."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from memvirt.command import run_command

if TYPE_CHECKING:
    from memvirt.sweep.plan.words import Words

#: Flags of Hydra's that take a value, besides those that say where options are.
WITH_VALUE = ("--config-path", "-cp", "--cfg", "-c", "--package", "-p", "--experimental-rerun")
ABOUT_HYDRA = ("--hydra-help", "--version", "--info", "-i")  #: flags that ask about no config


def flags_for_hydra(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Take those flags, with their values, out of a command line that Hydra itself must answer: ``--cfg job``, ``--hydra-help``."""
    from memvirt.sweep.plan.words import IDLE, PLACES

    flags: list[str] = []
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        flag, equals, _ = word.partition("=")
        own = not word.startswith("-") or flag in PLACES or word in IDLE
        (rest if own else flags).append(word)
        if flag in (*PLACES, *WITH_VALUE) and not equals:
            (rest if own else flags).extend(word for word in [next(words, None)] if word is not None)
    return flags, rest


@contextlib.contextmanager
def _arguments(words: list[str]) -> Iterator[None]:
    """Give Hydra's own command line its words, and have it raise what it finds wrong."""
    before, told = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = ["python -m memvirt.sweep", *words], "1"
    try:
        yield
    finally:
        sys.argv = before
        if told is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = told


def ask_hydra(flags: list[str], words: Words) -> None:
    """Have Hydra answer.

    Raises
    ------
    MemvirtError
        If an override can't be.
    """
    import hydra
    from hydra.core.hydra_config import HydraConfig

    from memvirt.sweep.plan.compose import CONFIGS
    from memvirt.sweep.plan.words import DEFAULT, asks_for_nothing, plainly, prepare

    def never(config: Any) -> None:
        raise AssertionError("the sweeper starts no Hydra job")

    overrides = prepare(words)
    if asks_for_nothing(overrides) and not set(flags) & set(ABOUT_HYDRA):
        overrides.append(DEFAULT)
    application = hydra.main(version_base="1.3", config_path=CONFIGS, config_name="config")(never)
    job = HydraConfig.instance()
    of_caller = job.cfg
    try:
        with _arguments([*flags, *words.flags, *overrides]), plainly(words.overrides):
            application()
    finally:
        job.cfg = of_caller  # `${hydra:runtime.cwd}` would be answered with this call's folder ever after


def help_asked(argv: list[str]) -> list[str] | None:
    """What is asked for help about: nothing in particular, or groups and keys; None if it isn't help that is asked for."""
    if not {"--help", "-h"} & set(argv):
        return None
    return [word.partition("=")[0] for word in argv if not word.startswith("-")]


def run(argv: list[str]) -> None:
    """Run a sweep, say how that is done, or have Hydra answer."""
    words = help_asked(argv)
    if words is not None:
        from memvirt.sweep import help

        print("\n\n".join(map(help.about, words)) if words else help.overview())
        return
    from memvirt.api import run_sweep
    from memvirt.sweep.plan.words import read_words, refuse_completion

    for word in argv:
        refuse_completion(word.partition("=")[0])
    flags, rest = flags_for_hydra(argv)
    if flags:
        ask_hydra(flags, read_words(rest))
    else:
        run_sweep(*rest, quiet=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a sweep; 2 for a bad argument or config, 1 for failed rows if asked to, 130 after Ctrl-C."""
    return run_command("memvirt.sweep", run, argv)
