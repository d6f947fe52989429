"""Points made of sections that are checked and hashed once for each value that they take, however many points there are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from memvirt import __version__, workload
from memvirt.config import Section
from memvirt.digest import canonical, text_digest
from memvirt.pipeline.point import Point, check_finite, checked
from memvirt.pipeline.rooms.memory import CHECKED, check
from memvirt.sweep.plan.stitch import Stitcher, Tree

PARTS = 30_000  #: section values remembered
NAMES = tuple(Point.model_fields)  #: sections of a point


class Part(NamedTuple):
    """A section's value.

    Attributes
    ----------
    model : Section
        Checked.
    digest : bytes
        Of what it says.
    """

    model: Any
    digest: bytes


class Sections:
    """Makes points of a stitcher's configs.

    Parameters
    ----------
    stitch : Stitcher
    """

    def __init__(self, stitch: Stitcher) -> None:
        self.stitch = stitch
        self.traces: dict[str, str] = {}
        """Digest of each trace file in use."""
        self.assumed: dict[str, None] = {}
        """What those files don't say and is assumed, each once."""
        self._parts: dict[tuple[Any, ...], Part] = {}
        self._contents: dict[tuple[int, int], bytes] = {}
        self._checked: set[tuple[int, ...]] = set()
        self._varied = [name for name in NAMES if name in stitch.of_section]
        self._fixed: dict[str, Part] = {}

    def __call__(self, choice: Sequence[int], replicate: int) -> tuple[Point, str]:
        """Make a point and its id: the hash of its config, of the model's version, and of its traces' content.

        Raises
        ------
        ConfigError, TraceError
            If it can't be computed.
        """
        parts = self._stitched(choice, replicate) if self.stitch.valid else self._composed(choice, replicate)
        point = Point.model_construct(**{name: part.model for name, part in parts.items()})
        self._check(point)
        identity = b"".join([__version__.encode(), *(parts[name].digest for name in NAMES), self._content(point)])
        return point, hashlib.blake2b(identity, digest_size=8).hexdigest()

    def _check(self, point: Point) -> None:
        """See whether a point's sections go together; each combination once."""
        known = tuple([id(getattr(point, name)) for name in CHECKED])
        if known not in self._checked:
            check(point)
            self._checked.add(known)

    def _stitched(self, choice: Sequence[int], replicate: int) -> dict[str, Part]:
        if not self._fixed:
            self._fixed = {
                name: self._part(name, (), self.stitch.section(name, choice), 0)
                for name in NAMES
                if name not in self._varied and name != "workload"
            }
        parts = dict(self._fixed)
        for name in dict.fromkeys((*self._varied, "workload")):
            places = tuple(choice[place] for place in self.stitch.of_section.get(name, ()))
            mine = replicate if name == "workload" else 0
            part = self._parts.get((name, places, mine))
            parts[name] = part or self._part(name, places, self.stitch.section(name, choice), mine)
        return parts

    def _composed(self, choice: Sequence[int], replicate: int) -> dict[str, Part]:
        config: Tree = self.stitch(choice)
        parts = {}
        for name in NAMES:
            mine = replicate if name == "workload" else 0
            check_finite(name, config[name])
            text = canonical(config[name])
            parts[name] = self._parts.get((name, text, mine)) or self._part(name, text, config[name], mine)
        return parts

    def _part(self, name: str, known_as: Any, config: Any, replicate: int) -> Part:
        kind: Any = Point.model_fields[name].annotation
        model: Section = checked(kind, config, name)
        if replicate:
            model = model.model_copy(update={"seed": replicate_seed(model.seed, replicate)})  # type: ignore[attr-defined]
        model.__pydantic_fields_set__.clear()  # two thirds of its memory, for nothing here
        if len(self._parts) > PARTS:  # they are made again where they are asked for
            self._parts.clear()
            self._checked.clear()  # sections are known by identity
        part = Part(model, bytes.fromhex(text_digest(name, canonical(model.model_dump()))))
        self._parts[name, known_as, replicate] = part
        return part

    def _content(self, point: Point) -> bytes:
        """Digest of the traces that a point's VMs run; read and checked once."""
        known = (id(point.workload), id(point.vms))
        found = self._contents.get(known)
        if found is None:
            contents = []
            for vm in range(point.count):
                work = point.member(vm).workload
                if vm == 0 or point.vms.members is not None:
                    workload.check(work)
                    self.assumed.update(dict.fromkeys(workload.assumed(work)))
                contents.append(workload.digest(work))
                if contents[-1]:
                    self.traces[work.path or work.name] = contents[-1]
            found = self._contents[known] = bytes.fromhex(text_digest(canonical(contents)))
        return found


def replicate_seed(seed: int, replicate: int) -> int:
    """Seed of a replicate: the same for every design, so that designs are compared on the same draws; its own for the first."""
    if replicate == 0:
        return seed
    digest = hashlib.blake2b(f"{seed}/{replicate}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") >> 1
