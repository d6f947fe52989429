"""Points as a graph of stages: what each room computes, from which fields of which earlier one.

A `Layout` writes each stage down once, however many points ask for it, so a grid is laid out as its distinct stages. A
stage's key is the hash of its room, of the config that it reads, of the digests of the fields that it reads and of the code
that it uses. Since fields are told apart by content, stages are shared even where what came before them differs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from memvirt.digest import canonical, text_digest
from memvirt.pipeline.point import Point
from memvirt.pipeline.rooms import CONFIGS, EMPTY, MOOT, OF_THE_MACHINE, READS, is_fused, native, reads, room_code


class Config:
    """All that a stage reads of the config, and no more; it is made when it is asked for, since there may be many.

    Attributes
    ----------
    digest : str
        Hash of it.
    """

    __slots__ = ("_kind", "_sections", "_vms", "_without", "digest")

    def __init__(self, kind: str, sections: tuple[Any, ...], vms: tuple[int, ...]) -> None:
        self._kind, self._sections, self._vms = kind, sections, vms
        self._without: dict[tuple[str, ...], str] | None = None
        self.digest = text_digest(canonical(self.value))

    @property
    def value(self) -> Any:
        """The config, as plain values that JSON can write."""
        names = READS[self._kind]
        view = Point.model_construct(**dict(zip(names, self._sections, strict=True)))
        return CONFIGS[self._kind](view, self._vms)

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


def key(stage: Stage, digests: Sequence[Mapping[str, str]]) -> str:
    """Identify a stage, given the digests of each of its inputs."""
    moot = tuple(name for name, field in MOOT.get(stage.room, ()) if any(have.get(field) == EMPTY for have in digests))
    words = [stage.room, room_code(stage.room), stage.config.digest_without(moot)]
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
        self._fused: dict[tuple[str, int, int], bool] = {}
        self._nothing = Config("result", (), ())

    def _config(self, kind: str, point: Point, vms: tuple[int, ...]) -> Config:
        names = READS[kind]
        sections = tuple([getattr(point, name) for name in names])
        known = (kind, () if kind in OF_THE_MACHINE else vms, *map(id, sections))
        config = self._known.get(known)
        if config is None:
            for section in sections:
                self._keep[id(section)] = section
            made = Config(kind, sections, vms)
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

    def _is_fused(self, point: Point, baseline: str) -> bool:
        known = (baseline, id(point.mmu), id(point.tlb))
        if known not in self._fused:
            self._keep[id(point.mmu)], self._keep[id(point.tlb)] = point.mmu, point.tlb
            self._fused[known] = is_fused(point, native(point) if baseline else point.mmu)
        return self._fused[known]

    def _chain(self, point: Point, vms: tuple[int, ...], traces: tuple[Stage, ...], baseline: str) -> tuple[Stage, ...]:
        """Memory, TLB and MMU (or both in one), and cost over some VMs."""
        memory = self._stage("memory", self._config(f"{baseline}memory", point, vms), traces)
        if self._is_fused(point, baseline):
            counted: tuple[Stage, ...] = (
                memory,
                self._stage("fused", self._config(f"{baseline}fused", point, vms), (*traces, memory)),
            )
        else:
            tlb = self._stage("tlb", self._config(f"{baseline}tlb", point, vms), (*traces, memory))
            counted = (memory, tlb, self._stage("mmu", self._config(f"{baseline}mmu", point, vms), (*traces, memory, tlb)))
        return (*counted, self._stage("cost", self._config(f"{baseline}cost", point, vms), counted))

    def add(self, point: Point) -> Stage:
        """Lay a point out; returns the stage of its result.

        The traces come first, one a VM; then the point's own chain; then a baseline for each VM, which is what
        `slowdown` divides by.
        """
        vms = tuple(range(point.count))
        traces = tuple(self._stage("workload", self._config("workload", point, (vm,))) for vm in vms)
        own = self._chain(point, vms, traces, "")
        alone = [self._chain(point, (vm,), (traces[vm],), "baseline ")[-1] for vm in vms]
        return self._stage("result", self._nothing, (*own, *alone))

    def finish(self) -> None:
        """Forget what only adding points needs."""
        self._configs, self._known, self._places = {}, {}, {}


def graph(point: Point) -> list[Stage]:
    """Stages of one point, each after those that it needs; the last is its result."""
    layout = Layout()
    layout.add(point)
    return layout.stages
