"""What a plan will take: its distinct stages, and how long such stages took on this machine before."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memvirt.pipeline import needs
from memvirt.pipeline.layout import Stage
from memvirt.pipeline.rooms import ROOMS
from memvirt.result.table import write_whole
from memvirt.sweep.plan.plan import Plan
from memvirt.sweep.plan.todo import Todo
from memvirt.sweep.settings import Settings
from memvirt.workload.files import IN_MEMORY

BYTES = 6  #: an access of a recorded trace that is held


def rates_file(settings: Settings) -> Path:
    """Where measured rates are kept."""
    return Path(settings.output) / ".stages" / "rates.json"


def accesses(stage: Stage, known: dict[int, int]) -> int:
    """How many accesses a stage goes through; ``known`` are those of stages looked at before."""
    if stage.number not in known:
        length = ROOMS[stage.room].length
        if length is not None:
            known[stage.number] = length(stage.config.value)
        else:
            known[stage.number] = sum(accesses(each, known) for each in stage.inputs if ROOMS[each.room].length is not None)
    return known[stage.number]


def describe(plan: Plan, todo: Todo, settings: Settings) -> list[str]:
    """Say what a plan is and what it would take."""
    lines = [f"plan {plan.settings['plan']['name']}: {len(plan):,} points"]
    if len(todo.wanted.ids) != len(plan):
        lines[0] += f", {len(todo.wanted.ids):,} of them distinct"
    if plan.replicates > 1:
        lines[0] += f", {plan.replicates} replicates of {len(plan.choices):,}"
    for axis in plan.axes:
        few = ", ".join(axis.texts[:6]) + (", …" if len(axis.texts) > 6 else "")
        lines.append(f"  {axis.key}: {axis.interval if axis.interval is not None else few} ({len(axis.values):,} values)")
    for text, count in plan.dropped.items():
        lines.append(f"  constraint {text}: {count:,} points dropped")
    how = "stitched" if plan.stitch.valid else "for each point, since an option reaches beyond its own group"
    lines.append(f"{plan.composed} configs composed, {how}")
    measured = _measured(settings)
    rates = {name: room.seconds_an_access for name, room in ROOMS.items()} | measured
    counts, asked = Counter[str](), Counter[str]()
    seconds: dict[str, float] = dict.fromkeys(ROOMS, 0.0)
    seen: set[int] = set()
    there = needs.available()
    most = trace_bytes = largest = 0
    tight: list[str] = []
    pages: dict[int, int] = {}
    for window in todo.windows():
        known: dict[int, int] = {}
        for stage, times in zip(window.layout.stages, window.layout.asked, strict=True):
            asked[stage.room] += times
            length = accesses(stage, known)
            if stage.recipe in seen:
                continue
            seen.add(stage.recipe)
            counts[stage.room] += 1
            seconds[stage.room] += ROOMS[stage.room].seconds + rates[stage.room] * length
            if ROOMS[stage.room].length is not None:
                trace_bytes += _held(length)
                pages[stage.recipe] = needs.pages_of(stage.config.value)
            if stage.room == "memory":
                touched = [pages[need.recipe] for need in stage.inputs]
                everything = stage.config.value["guest"]["prefault"] == "all"
                lengths = [
                    count if everything else accesses(need, known) for count, need in zip(touched, stage.inputs, strict=True)
                ]
                seconds["memory"] += needs.SECONDS_A_PAGE * sum(map(min, touched, lengths))
                needed = needs.bytes_needed(stage.config.value, touched)
                largest = max(largest, needed)
                if needed > there:
                    tight.append(needs.what_fits(needed, there, len(touched)))
            most = max(most, length)
    workers = settings.executor.workers or _cores(settings)
    lines.append(f"{'room':<10}{'asked for':>12}{'distinct, at most':>19}{'CPU-s, about':>14}")
    for room in counts:
        lines.append(f"{room:<10}{asked[room]:>12,}{counts[room]:>19,}{seconds[room]:>14,.1f}")
    total = sum(seconds.values())
    source = "rates measured by earlier sweeps here" if measured else "rates of the machine that memvirt was written on"
    lines.append(f"about {total:,.0f} CPU-s, {total / workers:,.0f} s on {workers} workers, without compilation and before equal")
    lines[-1] += f" stages are known; from {source}"
    at_once = workers * (largest + 2 * _held(most))
    lines.append(
        f"memory: traces {needs.gib(trace_bytes)}, at most {needs.gib(largest)} for the arrays of a stage, "
        f"about {needs.gib(at_once)} for those that run at a time; {needs.gib(there)} are free"
    )
    if tight:
        lines.append(f"{len(tight):,} stages of the memory room don't fit, and their points will say so: {tight[0]} would")
    return lines


def _held(length: int) -> int:
    """Bytes of a trace at a time: longer ones are read by the chunk, and a bit an access says what missed the TLBs."""
    return BYTES * min(length, IN_MEMORY) + max(length - IN_MEMORY, 0) // 8


def _cores(settings: Settings) -> int:
    return 1 if settings.executor.name == "serial" else os.cpu_count() or 1


def _measured(settings: Settings) -> dict[str, float]:
    try:
        found = json.loads(rates_file(settings).read_text())
        return {room: float(found[room]) for room in ROOMS if room in found}
    except (OSError, ValueError, TypeError):
        return {}


def remember_rates(settings: Settings, lengths: Mapping[str, tuple[float, int]]) -> None:
    """Keep how long each room took an access, for later estimates.

    Parameters
    ----------
    settings : Settings
    lengths : dict of (float, int)
        CPU seconds and accesses of what was computed, by room.
    """
    if not settings.reuse:
        return
    rates: dict[str, Any] = _measured(settings)
    rates |= {room: seconds / length for room, (seconds, length) in lengths.items() if length > 1_000_000}
    try:
        write_whole(rates_file(settings), lambda part: part.write_text(json.dumps(rates, indent=1) + "\n"))
    except Exception:  # an estimate the worse
        return
