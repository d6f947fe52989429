"""DAMON's snapshots of regions, as ``damo report access`` prints them: ``--raw_form``, or ``--json`` (its USAGE.md).

A snapshot is a step, a monitoring target an address space. A region with ``nr_accesses`` above 0 is visited whole, as damo's own
working sets count it. DAMON doesn't see writes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from memvirt.errors import TraceError
from memvirt.workload.batch import MOST_BITS, Options, Spaces
from memvirt.workload.sniff import LIFE, SURE
from memvirt.workload.stream import Sample, Stream
from memvirt.workload.visited import Visited, collect

HOLDS = LIFE
MOST_BYTES = 1 << 28  #: of a report, which is read as a whole
HEADING = re.compile(rb"base_time_absolute: |monitoring_start: ")
REGION = re.compile(r"([0-9a-f]+)-([0-9a-f]+) \(.*\):? +(-?\d+)(?: +-?\d+)?")
UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
Snapshot = tuple[float, float, str, list[tuple[int, int]]]  #: begin and end (s), target, addresses of regions that are accessed


def sniff(sample: Sample) -> float:
    """By the heading, or by the names in it."""
    start = sample.head.lstrip()
    if HEADING.match(start):
        return SURE
    named = all(word in start for word in (b'"snapshots"', b'"regions"', b'"start_time"'))
    return SURE if start.startswith(b"[") and named else 0.0


def seconds(text: str) -> float:
    """Read a time as damo writes it: ``1 m 17 s 100 ms``, or a raw number of ns.

    Raises
    ------
    ValueError
        If it is neither.
    """
    words = text.replace(",", "").split()
    if len(words) == 1:
        return float(words[0]) * 1e-9
    if not words or len(words) % 2:
        raise ValueError(text)
    return sum(float(number) * UNITS[unit] for number, unit in zip(words[::2], words[1::2], strict=True))


def _raw_form(text: str, name: str) -> Iterator[Snapshot]:
    base, begin, end, target = 0.0, 0.0, 0.0, ""
    regions: list[tuple[int, int]] = []
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        key, colon, value = line.partition(":")
        try:
            if match := REGION.fullmatch(line.strip()):
                if not inside:
                    raise ValueError(line)
                if int(match[3]) > 0:
                    regions.append((int(match[1], 16), int(match[2], 16)))
            elif key == "base_time_absolute":
                base = seconds(value)
            elif key == "monitoring_start":
                if inside:
                    yield begin, end, target, regions
                begin, regions, inside = base + seconds(value), [], True
            elif key == "monitoring_end":
                end = base + seconds(value)
            elif key == "target_id":
                target = value.strip()
            elif line.strip() and not line.startswith("#") and not (colon and key.replace("_", " ").replace(" ", "").isalpha()):
                raise ValueError(line)
        except (ValueError, KeyError):
            raise TraceError(name, f"line {number}", f"is no line of damo's raw form: {line[:60]!r}") from None
    if inside:
        yield begin, end, target, regions


def _whole(value: Any) -> int:
    return int(str(value).replace(",", ""))


def _accessed(region: Any) -> bool:
    count = region["nr_accesses"]
    if isinstance(count, dict):
        count = count["samples"] if count.get("samples") is not None else count["percent"]
    return float(str(count).replace(",", "").rstrip(" %")) > 0


def _json(text: str, name: str) -> Iterator[Snapshot]:
    place = ""
    try:
        for record in json.loads(text):
            for number, snapshot in enumerate(record["snapshots"]):
                place = f"snapshot {number} of target {record['target_id']}"
                begin, end = (seconds(str(snapshot[key])) for key in ("start_time", "end_time"))
                regions = [(_whole(each["start"]), _whole(each["end"])) for each in snapshot["regions"] if _accessed(each)]
                yield begin, end, str(record["target_id"]), regions
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as wrong:
        said = str(wrong).splitlines()[0][:100] if str(wrong) else type(wrong).__name__
        raise TraceError(name, place, f"is no report of damo's in JSON ({type(wrong).__name__}: {said})") from None


def _steps(snapshots: Iterator[Snapshot], name: str) -> Iterator[Snapshot]:
    """Snapshots by time, each beginning when its step does: targets that are looked at one after the other share a step."""
    now = -1.0
    seen: set[str] = set()
    for begin, end, target, regions in sorted(snapshots):
        if not 0 <= begin <= end < float("inf"):
            raise TraceError(name, "", f"has a snapshot from {begin:g} to {end:g} s")
        if now < 0 or target in seen or begin - now > (end - begin) / 2:
            now, seen = round(begin, 9), set()
        seen.add(target)
        yield now, round(now + end - begin, 9), target, regions


def read(stream: Stream, options: Options) -> Visited:
    """Read the snapshots."""
    content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise TraceError(stream.name, "", f"is longer than {MOST_BYTES >> 20} MiB: report it in parts")
    text = content.decode("ascii", "replace")
    spaces: dict[str, int] = {}
    rows, last = [], 0.0
    snapshots = (_json if text.lstrip().startswith("[") else _raw_form)(text, stream.name)
    for time, end, target, regions in _steps(snapshots, stream.name):
        space = spaces.setdefault(target, len(spaces))
        last = max(last, end)
        for start, stop in regions:
            if not 0 <= start < stop < 1 << MOST_BITS:
                raise TraceError(stream.name, "", f"has a region from {start:#x} to {stop:#x}")
            first, pages = start >> 12, (stop + 4095 >> 12) - (start >> 12)
            rows.append((time, space, first, pages, float("nan"), pages))
    if len(spaces) > Spaces.MOST:
        raise TraceError(stream.name, "", f"has more than {Spaces.MOST:,} targets")
    stream.note("holds no writes: workload.written is the share of pages that are taken as written")
    stream.note("a region with any access in a snapshot is visited whole in it")
    return collect(rows, last)
