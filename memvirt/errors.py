"""The errors that memvirt raises on purpose, each written for the person who reads it."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

MOST_CHOICES = 80  #: that an error lists


def suggest(word: str, choices: Iterable[str]) -> str:
    """Name the nearest choice, or all of them where none is near.

    Parameters
    ----------
    word : str
        What was written.
    choices : iterable of str
        What could have been written.
    """
    known = sorted(set(choices))
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    if len(known) > MOST_CHOICES:
        nearest = difflib.get_close_matches(word, known, n=12, cutoff=0)
        return f"choose from {len(known)}, such as {', '.join(sorted(nearest))}"
    return f"choose from {', '.join(known)}" if known else ""


class MemvirtError(Exception):
    """Base of every error that is the user's to mend; its text is one line.

    Attributes
    ----------
    exit_code : int
        With which a command ends that meets it.
    """

    exit_code: ClassVar[int] = 2


class ConfigError(MemvirtError):
    """A key, or a value of a key, that cannot be.

    Parameters
    ----------
    key : str
        The dotted config key, as written on the command line.
    value : object
        What it was set to.
    why : str
        The reason, in plain words.
    choices : iterable of str, optional
        What it may be; the nearest is suggested.
    """

    def __init__(self, key: str, value: object, why: str, choices: Iterable[str] = ()) -> None:
        self.key, self.value, self.why, self.choices = key, value, why, tuple(choices)
        hint = suggest(str(value), self.choices) if self.choices else ""
        written = {None: "null", True: "true", False: "false"}.get(value, value) if isinstance(value, bool | None) else value
        what = key if value == "" else f"{key}={written}"
        super().__init__(f"{what}: {why}" + (f"; {hint}" if hint else ""))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[object, ...]]:
        return type(self), (self.key, self.value, self.why, self.choices)


class Conflict(ConfigError):
    """A value of a key that cannot be beside those of other keys."""


class TraceError(MemvirtError):
    """A trace file that is missing, truncated or malformed.

    Parameters
    ----------
    path : str
        The file.
    where : str
        The place in it: ``line 12``, ``byte 80``; empty for the file as a whole.
    why : str
        The reason.
    """

    def __init__(self, path: str, where: str, why: str) -> None:
        self.path, self.where, self.why = str(path), where, why
        super().__init__(f"{path}{', ' + where if where else ''}: {why}")

    def __reduce__(self) -> tuple[type[TraceError], tuple[str, str, str]]:
        return type(self), (self.path, self.where, self.why)


class WriteError(MemvirtError):
    """A file that can't be written; those written before it stay.

    Parameters
    ----------
    path : Path
        The file.
    wrong : OSError
        What the system said.
    """

    def __init__(self, path: Path, wrong: OSError) -> None:
        what = "the disk is full" if wrong.errno in (errno.ENOSPC, errno.EDQUOT) else wrong.strerror or wrong
        super().__init__(f"{path}: can't be written: {what}")


class FolderError(MemvirtError):
    """A folder that must be the user's alone and isn't."""


class CapacityError(MemvirtError):
    """The simulated machine ran out of something that it may not take back."""


class Terminated(KeyboardInterrupt):
    """A polite kill (SIGTERM), between two steps."""

    exit_code: ClassVar[int] = 143


class Unfinished(MemvirtError):
    """A sweep that couldn't be finished; what is done is kept, and the text's second line is the command that goes on."""

    exit_code = 1


class FailedRows(MemvirtError):
    """Rows of a complete table failed, and ``fail_on_error`` asks to be told so."""

    exit_code = 1
