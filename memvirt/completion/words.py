"""What a command line that isn't finished could go on with."""

from __future__ import annotations

from memvirt.command import COMMANDS
from memvirt.sweep.help import CONF, PACKAGE, RUN, Row, tables

FLAGS = ("--help", "--cfg", "--config-dir", "--config-name", "--hydra-help")
#: Words that other commands begin with.
FIRST = {"trace": ("import", "record", "info"), "cache": ("size", "clean"), "completion": ("bash", "zsh")}


def candidates(words: list[str]) -> list[str]:
    """Whole words that the last of some could become.

    Parameters
    ----------
    words : list of str
        Those after ``memvirt``; the last is what is being written, which may be empty.
    """
    *before, word = words
    if not before:
        return _begin(word, COMMANDS)
    if before[0] == "sweep":
        return _of_sweep(before, word)
    if before[0] == "reproduce":
        names = [path.parent.name for path in PACKAGE.glob("experiments/*/reference.csv")]
        return _begin(word, (*sorted(names), "--list"))
    return _begin(word, FIRST.get(before[0], ())) if len(before) == 1 else []


def _begin(word: str, choices: object) -> list[str]:
    return [each for each in choices if each.startswith(word)]  # type: ignore[attr-defined]


def _of_sweep(before: list[str], word: str) -> list[str]:
    found = tables()
    if word.startswith("-"):
        return _begin(word, FLAGS)
    if {"--help", "-h"} & set(before):
        return _begin(word, found)
    rows = {row.key.replace("/", "."): row for each in found.values() for row in each}
    key, equals, value = word.partition("=")
    if not equals:
        return sorted({f"{each}=" for each in rows if each.startswith(word.replace("/", ".")) and "ARRAY" not in each})
    *chosen, last = value.split(",")
    row = rows.get(key.replace("/", "."))
    options = [each for each in _choices(row) if each not in chosen] if row else []
    head = f"{key}={','.join([*chosen, ''])}"
    return [f"{head}{each}" for each in options if each.startswith(last)]


def _choices(row: Row) -> list[str]:
    """Names among what a key can be."""
    folder = CONF / row.key.replace(".", "/")
    if row.key != RUN and folder.is_dir():
        return sorted(path.stem for path in folder.glob("*.yaml"))
    return [
        each
        for each in row.values.split(", ")
        if each.replace("_", "").isalnum() and each not in ("number", "size", "text", "time")
    ]
