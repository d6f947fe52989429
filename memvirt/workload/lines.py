"""Reading text formats of a line an access: a regular expression says what an access looks like, another what is passed over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import MemvirtError, TraceError
from memvirt.workload.batch import FETCHED, LOAD, STORE, Batch, Options, Spaces
from memvirt.workload.stream import LONGEST, Stream

BLOCK = 1 << 20  #: bytes of text parsed at a time
NEWLINE = 10
NEITHER = 3  #: kind of what is no access: a prefetch, a flush
#: Kinds by the first letter of their words, and by digits alone: Read, Load; Write, Store, Modify; Instruction, Fetch.
LETTERS = {
    "r": LOAD,
    "l": LOAD,
    "0": LOAD,
    "w": STORE,
    "s": STORE,
    "m": STORE,
    "1": STORE,
    "i": FETCHED,
    "f": FETCHED,
    "2": FETCHED,
}
TRUTHS = {b"true": STORE, b"false": LOAD}
WHOLE_HEX = rb"(?:0[xX])?[0-9a-fA-F]{1,16}"
WHOLE_DECIMAL = rb"[0-9]{1,20}"


class Shape(NamedTuple):
    """What lines look like.

    Attributes
    ----------
    access : pattern
        Of whole lines, without the newline; groups ``address``, and as there are ``kind``, ``space``, ``instructions``, ``time``.
    passed : pattern
        Of lines that say nothing.
    base : int
        Of an address without ``0x``: 10 or 16.
    what : int
        Kind of an access whose line doesn't say.
    name : str
        For errors.
    tick : float
        Seconds of the unit of ``time``.
    """

    access: re.Pattern[bytes]
    passed: re.Pattern[bytes]
    name: str
    base: int = 16
    what: int = LOAD
    tick: float = 1.0


def shape(access: bytes, name: str, passed: bytes = rb"#[^\n]*", base: int = 16, what: int = LOAD, tick: float = 1.0) -> Shape:
    """Make a shape: blanks are passed over at both ends of a line, and blank lines too."""
    lines = [rb"^[ \t]*(?:" + pattern + rb")[ \t\r]*$" for pattern in (access, passed + rb"|")]
    return Shape(re.compile(lines[0], re.MULTILINE), re.compile(lines[1], re.MULTILINE), name, base, what, tick)


def kind_of(word: bytes) -> int:
    """Kind of an access by its word; of a truth, whether it is a write."""
    word = word.strip().lower()
    if word in TRUTHS:
        return TRUTHS[word]
    return LETTERS.get(chr(word[0]), NEITHER) if word and (len(word) == 1 or not word[:1].isdigit()) else NEITHER


def _first_stranger(text: bytes, shape: Shape) -> tuple[int, bytes]:
    """Find the first line that neither pattern fits: its number in the text, and the line."""
    for number, line in enumerate(text.split(b"\n")):
        if not shape.access.fullmatch(line) and not shape.passed.fullmatch(line):
            return number, line
    return 0, b""


def _numbers(words: list[bytes], base: int) -> NDArray[np.uint64]:
    if base == 10:
        return np.array([int(word, 16) if word[:2] in (b"0x", b"0X") else int(word) for word in words], np.uint64)
    return np.array([int(word, 16) for word in words], np.uint64)


def read_lines(stream: Stream, options: Options, shape: Shape) -> Iterator[Batch]:
    """Read a text.

    Raises
    ------
    TraceError
        At the first line that the shape doesn't have.
    """
    groups = shape.access.groupindex
    single = shape.access.groups == 1
    spaces = Spaces()
    kinds: dict[bytes, int] = {}
    lines = pending = 0
    counted: bool | None = None
    rest, ended = b"", False
    while not ended:
        block = stream.read(BLOCK)
        ended = len(block) < BLOCK
        cut = ended and bool(rest or block) and not (block or rest).endswith(b"\n")
        text = rest + block
        end = len(text) if ended else text.rfind(b"\n") + 1
        if not end and len(text) > LONGEST:
            raise TraceError(stream.name, f"line {lines + 1}", f"is longer than any of {shape.name}")
        text, rest = text[: end - (not cut)] if end else b"", text[end:]
        if not end:
            continue
        ends = np.flatnonzero(np.frombuffer(text, np.uint8) == NEWLINE)
        long = np.flatnonzero(np.diff(ends, prepend=-1, append=len(text)) > LONGEST)
        if long.size:  # regular expressions may take the square of a line's length
            raise TraceError(stream.name, f"line {lines + int(long[0]) + 1}", f"is longer than any of {shape.name}")
        found = shape.access.findall(text)
        rows = [(row,) for row in found] if single else found
        total = ends.size + 1
        if len(rows) != total and len(rows) + len(shape.passed.findall(text)) != total:
            number, line = _first_stranger(text, shape)
            why = "is cut short, and the file ends" if cut and number == total - 1 else f"is no line of {shape.name}"
            raise TraceError(stream.name, f"line {lines + number + 1}", f"{why}: {line[:60].decode(errors='replace')!r}")
        columns = dict(zip(groups, zip(*rows, strict=True), strict=True)) if rows else {}
        if rows:
            words = columns.get("kind")
            if words is None:
                what = np.full(len(rows), shape.what, np.uint8)
            else:
                kinds.update({word: kind_of(word) for word in set(words) - kinds.keys()})
                what = np.fromiter((kinds[word] for word in words), np.uint8, len(rows))
            try:
                address = _numbers(list(columns["address"]), shape.base)
            except (OverflowError, ValueError):
                raise TraceError(stream.name, f"after line {lines}", "has an address of more than 64 bits") from None
            fetched = what == FETCHED
            if counted is None:
                counted = bool(fetched.any()) or "instructions" in groups
                if not counted:
                    stream.note("has no instruction lines: each access counts as one instruction")
            kept = np.flatnonzero(what != NEITHER if options.fetches else what < FETCHED)
            gap = np.ones(kept.size, np.int64)
            if "instructions" in groups:
                gap = np.array([int(word) for word in columns["instructions"]], np.int64)[kept] + 1
            elif counted:
                total_fetched = np.concatenate([[0], np.cumsum(fetched)])[1:] + pending
                gap = np.diff(total_fetched[kept], prepend=0)
                pending = int(total_fetched[-1] - (total_fetched[kept[-1]] if kept.size else 0))
            space = None
            if "space" in groups:
                names = np.array([int(word or b"0") for word in columns["space"]], np.int64)
                space = spaces.number(names[kept])
            time = None
            if "time" in groups and b"" not in columns["time"]:
                time = np.array([float(word) for word in columns["time"]])[kept] * shape.tick
            if kept.size:
                yield Batch(address[kept], what[kept], gap, _Where(text, shape, lines, kept), space, time)
        lines += total
    if counted is None and not lines:
        raise TraceError(stream.name, "", "is empty")


class _Where:
    """Finds an access's line again."""

    def __init__(self, text: bytes, shape: Shape, lines: int, kept: NDArray[np.int64]) -> None:
        self.text, self.shape, self.lines, self.kept = text, shape, lines, kept

    def __call__(self, index: int) -> str:
        left = int(self.kept[index])
        for number, line in enumerate(self.text.split(b"\n")):
            if self.shape.access.fullmatch(line):
                if not left:
                    return f"line {self.lines + number + 1}"
                left -= 1
        return f"after line {self.lines}"


FIELDS = {
    "address": rb"(?P<address>" + WHOLE_HEX + rb")",
    "address:d": rb"(?P<address>" + WHOLE_HEX + rb"|" + WHOLE_DECIMAL + rb")",
    "rw": rb"(?P<kind>[A-Za-z0-2][A-Za-z]*)",
    "process": rb"(?P<space>[0-9]{1,18})",
    "instructions": rb"(?P<instructions>[0-9]{1,9})",
    "*": rb"[^\s:,]+",
    "...": rb"[^\n]*",
}


def pattern_shape(pattern: str) -> Shape:
    """Make the shape of a stated pattern (``--pattern``), such as ``{*}: {rw} {address}``.

    Parameters
    ----------
    pattern : str
        What a line is made of: `FIELDS` in braces, once each, blanks (any number of them), and what stands for itself.

    Raises
    ------
    MemvirtError
        If it has no address, or a field that there is not.
    """
    parts = re.split(r"(\{[^{}]*\}|\s+)", pattern.strip())
    access, seen = b"", set()
    for part in parts:
        name = part[1:-1] if part.startswith("{") and part.endswith("}") else None
        if name is None:
            access += rb"[ \t]+" if part.isspace() else re.escape(part.encode())
            continue
        if name not in FIELDS:
            raise MemvirtError(
                f"--pattern={pattern}: has no field {{{name}}}; there are {', '.join(f'{{{each}}}' for each in FIELDS)}"
            )
        if name.split(":")[0] in seen and name not in ("*", "..."):
            raise MemvirtError(f"--pattern={pattern}: has {{{name}}} twice")
        seen.add(name.split(":")[0])
        access += FIELDS[name]
    if "address" not in seen:
        raise MemvirtError(f"--pattern={pattern}: has no {{address}}")
    return shape(access, f"the pattern {pattern!r}", base=10 if "{address:d}" in pattern else 16)
