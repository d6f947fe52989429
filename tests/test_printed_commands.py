"""Every command that the documents print can be given: its flags, keys, options and names are known."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from memvirt.command import COMMANDS
from memvirt.experiments import claims, families, names
from memvirt.reproduce.cli import chosen
from memvirt.sweep.call import read_call
from memvirt.sweep.cli import flags_for_hydra
from memvirt.sweep.help import tables
from memvirt.sweep.plan.words import plainly

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("docs/**/*.rst"), *ROOT.glob("memvirt/experiments/*/README.md")]
COMMAND = re.compile(r"(?:python -m memvirt\.|(?<![\w/.-])memvirt )(" + "|".join(COMMANDS) + r")(?![\w.|])([^`\n]*)")
#: What stands for something of the reader's own (`hashed` is the mode that docs/new_mode.md makes).
OWN = re.compile(r"\bhashed\b|\b[A-Z]{3,}\b|…|\.\.\.|\$\(|\[|<")


def printed() -> list[tuple[str, str]]:
    """Each command with its arguments, from lines of their own and from running text, once."""
    found = {}
    for page in PAGES:
        for match in COMMAND.finditer(page.read_text()):
            found[match[1], re.split(r"\s#\s|\s\|\s|&&|;|\s{2,}", match[2])[0].rstrip("\\").strip().rstrip('.,:)"')] = page
    return sorted(found)


COMMANDS_PRINTED = printed()


def test_there_are_some() -> None:
    assert len(COMMANDS_PRINTED) > 25
    assert {name for name, _ in COMMANDS_PRINTED} >= {"sweep", "reproduce", "figures", "trace", "cache", "completion"}


@pytest.mark.parametrize("words", [words for name, words in COMMANDS_PRINTED if name == "sweep" and not OWN.search(words)])
def test_sweeps(words: str) -> None:
    """Their keys and options compose."""
    given = shlex.split(words)
    if "--help" in given:
        assert set(given) - {"--help"} <= set(tables())
        return
    _, rest = flags_for_hydra(given)
    rest = [word for word in rest if not word.startswith(("executor.address", "workload.path", "plan.path"))]
    with plainly(rest):
        assert read_call(rest, ["experiment=default"]).settings


@pytest.mark.parametrize("words", [words for name, words in COMMANDS_PRINTED if name == "reproduce" and not OWN.search(words)])
def test_reproductions(words: str) -> None:
    """Their names are experiments, claims or families."""
    given = [word for word in shlex.split(words) if not word.startswith("-") and "=" not in word]
    assert set(chosen(given)) <= set(names())
    assert families()
    assert all(claims(name) for name in chosen(given))
