"""What a room is to the rest of the house: one record, from which layout, keys, queue, estimate and executors are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from memvirt.pipeline.point import Point

Fields = dict[str, Any]  #: what a stage hands on, or reads of another, by name
Vms = tuple[int, ...]


@dataclass(frozen=True)
class Reading:
    """What a room's config is made of.

    Attributes
    ----------
    sections : tuple of str
        Sections of a point; the function sees no others.
    make : function
        From a point, of which only those sections are there, and the VMs concerned, to what JSON can write.
    of_vms : bool
        Whether it hangs on which VMs are concerned.
    """

    sections: tuple[str, ...]
    make: Callable[[Point, Vms], Any]
    of_vms: bool = False


@dataclass(frozen=True)
class Room:
    """A room.

    Attributes
    ----------
    name : str
    run : function
        From a config, and what it reads of each stage that it needs, to what it hands on.
    config : Reading
        Of a point's own stages.
    baseline : Reading
        Of the stages of what `slowdown` divides by.
    reads : dict
        Rooms whose stages it needs, in the order in which it is given them, and the fields that it reads of each.
    gives : tuple of str
        Fields that it hands on.
    code : tuple of str
        Modules that make its stages; what they import counts too.
    fused : bool, optional
        Whether it takes part where TLBs and walks are simulated as one (True), or where they aren't (False); else always.
    moot : tuple of (str, str)
        Pairs of a config key and a field that is read: while the field is empty, the key can't matter.
    of_lives : bool
        Whether it takes part only where VMs have page lives.
    known_by_key : bool
        Whether its outcome is told by the stage's key rather than by its content.
    lazy : bool
        Whether a stage is only run when somebody reads it.
    light : bool
        Whether a stage takes a moment and compiles nothing: such are sent in batches, and not remembered.
    costs_memory : bool
        Whether a stage takes memory and gives none back.
    gives_rows : bool
        Whether it ends a point's way: what it hands on are rows of the tables.
    by_value : tuple of str
        Fields that are small and read by light rooms, so that they travel by value; the others stay where they are made.
    several : bool
        Whether one pass can serve several configs; none can yet.
    length : function, optional
        How many accesses a stage makes, from its config; who has none goes through those of the stages that it needs.
    reads_file : function
        Whether a stage reads a file, which not every machine has.
    seconds, seconds_an_access : float
        CPU time that a stage takes whatever its length, and for each access, where nothing was measured yet: one nested point
        with full caches, the slowest recorded program, on the machine of README's "Is it fast?".
    """

    name: str
    run: Callable[[Any, list[Fields]], Fields]
    config: Reading
    baseline: Reading
    reads: Mapping[str, tuple[str, ...]]
    gives: tuple[str, ...]
    code: tuple[str, ...]
    fused: bool | None = None
    moot: tuple[tuple[str, str], ...] = ()
    of_lives: bool = False
    known_by_key: bool = False
    lazy: bool = False
    light: bool = False
    costs_memory: bool = False
    gives_rows: bool = False
    by_value: tuple[str, ...] = ()
    several: bool = False
    length: Callable[[Any], int] | None = None
    reads_file: Callable[[Any], bool] = lambda config: False
    seconds: float = 0.0
    seconds_an_access: float = 0.0
