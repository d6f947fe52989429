"""Points as a graph of stages: what each room computes, from which fields of which earlier one.

A `Layout` writes each stage down once, however many points ask for it, so a grid is laid out as its distinct stages. A
stage's key is the hash of its room, of the config that it reads, of the digests of the fields that it reads and of the code
that it uses. Since fields are told apart by content, stages are shared even where what came before them differs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from memvirt.digest import canonical, text_digest
from memvirt.pipeline.detail import alone, details, is_joined
from memvirt.pipeline.point import Point
from memvirt.pipeline.room import Reading, Room, Vms
from memvirt.pipeline.rooms import ROOMS, room_code
from memvirt.pipeline.rooms.translation import is_fused, native, own_mode
from memvirt.workload.config import Workload

EMPTY = "empty"  #: the digest of a field that holds nothing
(SOURCE,) = (room for room in ROOMS.values() if not room.reads)
CHAIN = tuple(room for room in ROOMS.values() if room.reads and not room.gives_rows and not room.of_lives)
(JOIN,) = (room for room in ROOMS.values() if room.of_lives)
(END,) = (room for room in ROOMS.values() if room.gives_rows)


class Config:
    """All that a stage reads of the config, and no more; it is made when it is asked for, since there may be many.

    Attributes
    ----------
    digest : str
        Hash of it.
    """

    __slots__ = ("_reading", "_sections", "_vms", "_without", "digest")

    def __init__(self, reading: Reading, sections: tuple[Any, ...], vms: Vms) -> None:
        self._reading, self._sections, self._vms = reading, sections, vms
        self._without: dict[tuple[str, ...], str] | None = None
        self.digest = text_digest(canonical(self.value))

    @property
    def value(self) -> Any:
        """The config, as plain values that JSON can write."""
        view = Point.model_construct(**dict(zip(self._reading.sections, self._sections, strict=True)))
        return self._reading.make(view, self._vms)

    def digest_without(self, names: tuple[str, ...]) -> str:
        """Hash of it with some keys nulled."""
        if not names:
            return self.digest
        if self._without is None:
            self._without = {}
        if names not in self._without:
            self._without[names] = text_digest(canonical({**self.value, **dict.fromkeys(names)}))
        return self._without[names]


class Stage:
    """One computation.

    Attributes
    ----------
    number : int
        Its place in the layout; those that it needs stand before it.
    room : str
    config : Config
    inputs : tuple of Stage
        The stages that it needs.
    recipe : int
        Hash of all that it is made from; the same in every layout of this process.
    """

    __slots__ = ("config", "inputs", "number", "recipe", "room")

    def __init__(self, number: int, room: str, config: Config, inputs: tuple[Stage, ...]) -> None:
        self.number, self.room, self.config, self.inputs = number, room, config, inputs
        self.recipe: int = hash((room, config.digest, *[each.recipe for each in inputs]))

    @property
    def reads(self) -> tuple[tuple[str, ...], ...]:
        """Fields that it reads of each of its inputs."""
        return reads(self.room, tuple([each.room for each in self.inputs]))


@cache
def reads(room: str, needs: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Fields that a stage of a room reads of each of the stages that it needs, given their rooms."""
    return tuple([ROOMS[room].reads[each] for each in needs])


def key(stage: Stage, digests: Sequence[Mapping[str, str]]) -> str:
    """Identify a stage, given the digests of each of its inputs."""
    room = ROOMS[stage.room]
    moot = tuple(name for name, field in room.moot if any(have.get(field) == EMPTY for have in digests))
    words = [room.name, room_code(room.name), stage.config.digest_without(moot)]
    for fields, have in zip(stage.reads, digests, strict=True):
        words.append("of")
        for field in fields:
            words += (field, have[field])
    return hashlib.blake2b(" ".join(words).encode(), digest_size=16).hexdigest()


class Layout:
    """Lays points out as stages.

    Points that share section objects are laid out fastest: what a room reads is worked out once for each combination of the
    sections that it reads.

    Attributes
    ----------
    stages : list of Stage
        Each after those that it needs, equal ones once.
    asked : list of int
        How often points asked for each.
    """

    def __init__(self) -> None:
        self.stages: list[Stage] = []
        self.asked: list[int] = []
        self._configs: dict[str, Config] = {}
        self._known: dict[tuple[Any, ...], Config] = {}
        self._places: dict[tuple[Any, ...], Stage] = {}
        self._keep: dict[int, Any] = {}  # sections are known by identity, so they must not go away
        self._fused: dict[tuple[bool, int, int], bool] = {}
        self._lives: dict[tuple[int, ...], list[Workload] | None] = {}
        self._alone: dict[tuple[Any, ...], Point] = {}

    def _config(self, reading: Reading, point: Point, vms: Vms) -> Config:
        sections = tuple([getattr(point, name) for name in reading.sections])
        known = (id(reading), vms if reading.of_vms else (), *map(id, sections))
        config = self._known.get(known)
        if config is None:
            for section in sections:
                self._keep[id(section)] = section
            made = Config(reading, sections, vms)
            config = self._known[known] = self._configs.setdefault(made.digest, made)
        return config

    def _stage(self, room: str, config: Config, inputs: tuple[Stage, ...] = ()) -> Stage:
        place = (room, id(config), *[stage.number for stage in inputs])
        stage = self._places.get(place)
        if stage is None:
            stage = self._places[place] = Stage(len(self.stages), room, config, inputs)
            self.stages.append(stage)
            self.asked.append(0)
        self.asked[stage.number] += 1
        return stage

    def _is_fused(self, point: Point, is_baseline: bool) -> bool:
        known = (is_baseline, id(point.mmu), id(point.tlb))
        if known not in self._fused:
            self._keep[id(point.mmu)], self._keep[id(point.tlb)] = point.mmu, point.tlb
            self._fused[known] = is_fused(point, native(point) if is_baseline else own_mode(point))
        return self._fused[known]

    def _known_by(self, point: Point, names: Iterable[str]) -> tuple[int, ...]:
        """Identities of some of a point's sections, which are kept from now on."""
        sections = [getattr(point, name) for name in names]
        self._keep.update((id(section), section) for section in sections)
        return tuple(map(id, sections))

    def _details(self, point: Point) -> list[Workload] | None:
        """Distinct details of a point's page lives; None where translation is the VMs' own accesses'."""
        known = self._known_by(point, ("workload", "vms", "contents"))
        if known not in self._lives:
            self._lives[known] = details(point)[0] if is_joined(point) else None
        return self._lives[known]

    def _detail(self, point: Point, detail: Workload) -> Point:
        """The point that a detail is; the same object for all points that walk alike."""
        told = canonical([detail.model_dump(), point.numa.latencies])
        known = (told, *self._known_by(point, ("guest", "host", "tlb", "mmu", "cache", "cpu")))
        if known not in self._alone:
            self._alone[known] = alone(point, detail)
        return self._alone[known]

    def _chain(
        self, point: Point, vms: Vms, traces: tuple[Stage, ...], is_baseline: bool, rooms: Iterable[Room] = CHAIN
    ) -> dict[str, tuple[Stage, ...]]:
        """Stages from traces to cycles over some VMs, of a point or of what it is compared with, by room."""
        fused = self._is_fused(point, is_baseline)
        made = {SOURCE.name: traces}
        for room in rooms:
            if room.fused is None or room.fused == fused:
                config = self._config(room.baseline if is_baseline else room.config, point, vms)
                made[room.name] = (self._stage(room.name, config, needed(room.reads, made)),)
        return made

    def add(self, point: Point) -> Stage:
        """Lay a point out; returns the stage of its result.

        The traces come first, one a VM; then the point's own chain; then a baseline for each VM, which is what
        `slowdown` divides by. Where the VMs have page lives, these come first, then each detail as a VM alone.
        """
        vms = tuple(range(point.count))
        traces = tuple([self._trace(point, vm) for vm in vms])
        found = self._details(point)
        if found is not None:
            return self._add_lives(point, vms, traces, found)
        made = self._chain(point, vms, traces, False)
        last = CHAIN[-1].name
        for vm in vms:
            made[last] += self._chain(point, (vm,), (traces[vm],), True)[last]
        return self._stage(END.name, self._config(END.config, point, vms), needed(END.reads, made))

    def _trace(self, point: Point, vm: int) -> Stage:
        return self._stage(SOURCE.name, self._config(SOURCE.config, point, (vm,)))

    def _add_lives(self, point: Point, vms: Vms, traces: tuple[Stage, ...], found: list[Workload]) -> Stage:
        """Lay out a point of page lives: where their pages are, then each distinct detail and its baseline, then both together."""
        made = self._chain(point, vms, traces, False, CHAIN[:1])
        for detail in found:
            it = self._detail(point, detail)
            trace = (self._trace(it, 0),)
            own = self._chain(it, (0,), trace, False, CHAIN[:-1])
            own[CHAIN[-1].name] = self._chain(it, (0,), trace, True)[CHAIN[-1].name]
            made |= {name: (*made.get(name, ()), *stages) for name, stages in own.items()}
        joined = self._stage(JOIN.name, self._config(JOIN.config, point, vms), needed(JOIN.reads, made))
        return self._stage(END.name, self._config(END.config, point, vms), needed(END.reads, {JOIN.name: (joined,)}))

    def finish(self) -> None:
        """Forget what only adding points needs."""
        self._configs, self._known, self._places, self._lives, self._alone = {}, {}, {}, {}, {}


def needed(rooms: Iterable[str], made: Mapping[str, tuple[Stage, ...]]) -> tuple[Stage, ...]:
    """Those of some stages that a room needs which reads of these."""
    return tuple([stage for name in rooms for stage in made.get(name, ())])


def graph(point: Point) -> list[Stage]:
    """Stages of one point, each after those that it needs; the last is its result."""
    layout = Layout()
    layout.add(point)
    return layout.stages
