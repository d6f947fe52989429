"""Configs of masim, the workload language of DAMON's author (github.com/sjp38/masim): regions, then phases of patterns.

Paragraphs are parted by empty lines; the first has a region a line (``name, bytes``), each other one a phase: its name, its
milliseconds, and a pattern a line (``region, randomness, stride, probability``, and ``ro``, ``wo`` or ``rw``, else ``wo``). masim
accesses as fast as it can, some 131,072 accesses a pattern at a time, so each step visits every page that a pattern reaches.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from memvirt.errors import TraceError
from memvirt.workload.batch import Options
from memvirt.workload.sniff import LIFE, LIKELY
from memvirt.workload.stream import Sample, Stream
from memvirt.workload.visited import MOST_PAGES, Visited, collect

HOLDS = LIFE
MOST_BYTES = 1 << 22  #: of a config
MOST_STEPS, MOST_ROWS = 1 << 20, 1 << 23
MODES = ("ro", "wo", "rw")
Line = tuple[int, str]  #: number and text


class Pattern(NamedTuple):
    """How a region is accessed: the number of its first page, its pages, those that are visited, and whether they are written."""

    first: int
    pages: int
    visits: int
    written: bool


class Phase(NamedTuple):
    """A phase: seconds, and its patterns."""

    seconds: float
    patterns: list[Pattern]


def _paragraphs(text: str) -> Iterator[list[Line]]:
    lines: list[Line] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            continue
        if line.strip():
            lines.append((number, line))
        elif lines:
            yield lines
            lines = []
    if lines:
        yield lines


def _regions(lines: list[Line]) -> dict[str, tuple[int, int]]:
    """First page and bytes of each region, one after the other."""
    found: dict[str, tuple[int, int]] = {}
    first = 0
    for number, line in lines:
        words = [word.strip() for word in line.split(",")]
        if len(words) not in (2, 3) or not words[0] or not words[1].isdigit() or not 0 < int(words[1][:20]) <= MOST_PAGES << 12:
            raise ValueError(number, f"is no region (name, bytes): {line[:60]!r}")
        found[words[0]] = first, int(words[1])
        first += -(-int(words[1]) // 4096)
        if first > MOST_PAGES:
            raise ValueError(number, "ends beyond the pages that 31-bit numbers name")
    return found


def _phase(lines: list[Line], regions: dict[str, tuple[int, int]]) -> Phase:
    if len(lines) < 3 or not lines[1][1].strip().isdigit() or not 0 < int(lines[1][1].strip()[:20]) < 1 << 32:
        raise ValueError(lines[0][0], f"begins no phase (a name, milliseconds, patterns): {lines[0][1][:60]!r}")
    patterns = []
    for number, line in lines[2:]:
        words = [word.strip() for word in line.split(",")]
        good = len(words) in (4, 5) and words[0] in regions and words[1] in ("0", "1") and all(map(str.isdigit, words[2:4]))
        if not good or (len(words) == 5 and words[4] not in MODES) or not int(words[2][:20]):
            raise ValueError(number, f"is no pattern (region, 0 or 1, stride, probability, ro, wo or rw): {line[:60]!r}")
        first, size = regions[words[0]]
        pages, stride = -(-size // 4096), int(words[2][:20])
        visits = pages if words[1] == "1" or stride <= 4096 else -(-size // stride)
        if int(words[3][:20]):
            patterns.append(Pattern(first, pages, visits, words[4:] != ["ro"]))
    return Phase(int(lines[1][1]) / 1000, patterns)


def parse(text: str) -> list[Phase]:
    """Read a config.

    Raises
    ------
    ValueError
        With the number of the line that is wrong, and why.
    """
    paragraphs = list(_paragraphs(text))
    if len(paragraphs) < 2:
        raise ValueError(1, "has no phase after its regions")
    regions = _regions(paragraphs[0])
    return [_phase(lines, regions) for lines in paragraphs[1:]]


def sniff(sample: Sample) -> float:
    """By reading it; of a long one all but the paragraph that is cut."""
    text = "\n".join(sample.lines(1 << 16))
    if text.count(",") < 4:
        return 0.0
    try:
        parse(text if sample.whole else text.rpartition("\n\n")[0])
    except ValueError:
        return 0.0
    return LIKELY


def read(stream: Stream, options: Options) -> Visited:
    """Read a config as what it visits in each step."""
    content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise TraceError(stream.name, "", f"is longer than {MOST_BYTES >> 20} MiB")
    try:
        phases = parse(content.decode("ascii"))
    except UnicodeDecodeError:
        raise TraceError(stream.name, "", "is no text") from None
    except ValueError as wrong:
        line, why = wrong.args
        raise TraceError(stream.name, f"line {line}", f"of masim's config {why}") from None
    steps = [max(1, round(phase.seconds / options.step)) for phase in phases]
    rows_wanted = sum(count * len(phase.patterns) for count, phase in zip(steps, phases, strict=True))
    if sum(steps) > MOST_STEPS or rows_wanted > MOST_ROWS:
        raise TraceError(stream.name, "", f"lasts {sum(steps):,} steps of {options.step:g} s: make workload.step longer")
    rows, begin = [], 0.0
    for count, phase in zip(steps, phases, strict=True):
        for step in range(count):
            time = begin + phase.seconds * step / count
            rows += [(time, 0, each.first, each.pages, float(each.pages * each.written), each.visits) for each in phase.patterns]
        begin += phase.seconds
    stream.note("masim accesses as fast as it can: each step visits every page that a pattern reaches")
    return collect(rows, begin)
