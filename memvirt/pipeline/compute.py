"""Runs a stage: the function of its room, on what it reads, and the digests of what comes out."""

from __future__ import annotations

from typing import Any

from memvirt.digest import content_digest, freeze
from memvirt.pipeline.layout import EMPTY, graph
from memvirt.pipeline.point import Point
from memvirt.pipeline.room import Fields
from memvirt.pipeline.rooms import ROOMS
from memvirt.pipeline.rooms.memory import check
from memvirt.result.rows import as_rows


def compute(room: str, config: Any, inputs: list[Fields], name: str = "") -> tuple[Fields, dict[str, str]]:
    """Run a stage.

    Parameters
    ----------
    room : str
    config : JSON-able
    inputs : list of dict
        For each of its needs, the fields that it reads.
    name : str
        Its key.

    Returns
    -------
    fields : dict
        What it hands on.
    digests : dict of str
        Of each field.
    """
    freeze(inputs)
    fields = ROOMS[room].run(config, inputs)
    freeze(fields)
    if ROOMS[room].known_by_key:
        return fields, known_digests(room, name)
    return fields, {name: EMPTY if value is None else content_digest(value) for name, value in fields.items()}


def known_digests(room: str, name: str) -> dict[str, str]:
    """Digests of the fields of a stage of a room that is known by key."""
    return {field: name for field in ROOMS[room].gives}


def simulate(point: Point) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Run one point from end to end, in this process.

    Returns
    -------
    rows, epochs : list of dict
        One row a VM, and one a VM and epoch.

    Raises
    ------
    ConfigError
        If the point's sections can't be together.
    """
    check(point)
    done: list[Fields] = []
    for stage in graph(point):
        inputs = [
            {name: done[each.number][name] for name in fields} for each, fields in zip(stage.inputs, stage.reads, strict=True)
        ]
        done.append(compute(stage.room, stage.config.value, inputs)[0])
    return as_rows(done[-1]["results"]), as_rows(done[-1]["epochs"])
