"""One design: the config sections of every room, checked together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError, model_validator

from memvirt.config import Section
from memvirt.cost.config import Cpu
from memvirt.errors import ConfigError, suggest
from memvirt.memory.config import Clock, Contents, Epoch, Guest, Host, Overcommit, Reclaim, Vm, Vms
from memvirt.memory.numa import Numa
from memvirt.mmu.config import Cache, Mmu
from memvirt.tlb.config import Tlb
from memvirt.workload.config import Workload
from memvirt.workload.names import NOTHING

VM_KEYS = tuple(Vm.model_fields)  #: keys of the ``vms`` section that VMs can have each of their own


class MemberSections(NamedTuple):
    """The sections that VMs can have each of their own."""

    workload: Workload
    vms: Vms
    contents: Contents


class Point(Section):
    """A point of a sweep, as `conf/config.yaml` lists its groups."""

    workload: Workload
    """The program that each VM runs: recorded, synthetic, or `trace` with `workload.path`."""
    vms: Vms
    """The virtual machines; scenarios of different ones are [in their files](../memvirt/conf/vms)."""
    contents: Contents
    """What pages hold until they are written, for sharing and compression."""
    guest: Guest
    """The guest's paging."""
    host: Host
    """The host's paging behind the guests."""
    clock: Clock
    """Time: what an instruction takes in the order of events, and the host's own work. A machine doesn't set it."""
    epoch: Epoch
    """The grain of `epochs.parquet`."""
    numa: Numa
    """Nodes, their CPUs, and where pages, tables and vCPUs go."""
    overcommit: Overcommit
    """How much more memory is promised than there is."""
    reclaim: Reclaim
    """How the host takes memory back."""
    tlb: Tlb
    """The TLBs of a CPU: a preset's arrays, each with its source in [the preset](../memvirt/conf/tlb)."""
    mmu: Mmu
    """The translation mode; what each leaves out is [in
    model.md](model.md#what-each-mode-leaves-out-and-which-comparison-that-tilts).
    """
    cache: Cache
    """Data caches: `none`, `pte` for table entries only, `full` for data as well."""
    cpu: Cpu
    """Prices of counts, each with its source in [the preset](../memvirt/conf/cpu)."""

    @model_validator(mode="after")
    def _members(self) -> Point:
        for number, _ in enumerate(self.vms.members or []):
            self.member(number)
        return self

    def member(self, vm: int) -> MemberSections:
        """Sections of one VM, with what `vms.members` says of it."""
        if self.vms.members is None:
            return MemberSections(self.workload, self.vms, self.contents)
        mine = dict(self.vms.members[vm])
        where = f"vms.members[{vm}]"
        workload, contents = mine.pop("workload", {}), mine.pop("contents", {})
        unknown = set(mine) - set(VM_KEYS)
        if unknown:
            word = sorted(unknown)[0]
            raise ConfigError(f"{where}.{word}", mine[word], "there is no such key", ["workload", "contents", *VM_KEYS])
        common = {name: getattr(self.vms, name) for name in VM_KEYS} | mine
        changed = {"name": workload} if isinstance(workload, str) else workload
        if not isinstance(changed, Mapping):
            raise ConfigError(f"{where}.workload", workload, "must be a workload's name, or a mapping of its keys")
        if not isinstance(contents, Mapping):
            raise ConfigError(f"{where}.contents", contents, "must be a mapping of keys")
        whole = {**self.workload.model_dump(), **changed}
        if whole["name"] != self.workload.name:  # another program has no use for this one's own keys
            own = {"path", "format", "dependence", "detail", *self.workload.options} - set(changed)
            own -= {"detail"} if self.workload.detail == NOTHING else set()  # said of the host, not of a program
            whole = {key: value for key, value in whole.items() if key not in own}
        return MemberSections(
            checked(Workload, whole, f"{where}.workload"),
            checked(Vms, common, where),
            checked(Contents, {**self.contents.model_dump(), **contents}, f"{where}.contents"),
        )

    @property
    def count(self) -> int:
        """How many VMs there are."""
        return self.vms.count if self.vms.members is None else len(self.vms.members)

    @classmethod
    def build(cls, config: Mapping[str, Any]) -> Point:
        """Check a composed config.

        Raises
        ------
        ConfigError
            Naming the first key that is wrong, as the command line writes it.
        """
        point: Point = checked(cls, config, "")
        return point


def _fields(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """Names that could stand where an unknown key was found."""
    current: Any = model
    for part in path[:-1]:
        field = current.model_fields.get(part) if isinstance(current, type) and issubclass(current, BaseModel) else None
        if field is None:
            return []
        kinds = [field.annotation, *get_args(field.annotation)]
        current = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
    return list(current.model_fields) if current is not None else []


def check_finite(where: str, value: Any) -> None:
    """Refuse numbers that are none, wherever they stand: policies' own options are of any type.

    Raises
    ------
    ConfigError
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(where, value, "is no finite number")
    if isinstance(value, Mapping):
        for name, part in value.items():
            check_finite(f"{where}.{name}" if where else str(name), part)
    elif isinstance(value, list | tuple):
        for part in value:
            check_finite(where, part)


def checked(model: type[Any], config: Mapping[str, Any], where: str) -> Any:
    """Validate a section, turning pydantic's first complaint into one line about one key."""
    check_finite(where, config)
    try:
        return model.model_validate(dict(config))
    except ValidationError as wrong:
        problems = wrong.errors()
        first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
        path = tuple(part for part in first["loc"] if isinstance(part, str) and "[" not in part and part not in _TAGS)
        key = ".".join(part for part in (where, *path) if part)
        if first["type"] == "extra_forbidden":
            hint = suggest(str(path[-1]), _fields(model, path))
            raise ConfigError(key, first["input"], "there is no such key" + (f"; {hint}" if hint else "")) from None
        if first["type"] == "missing":
            raise ConfigError(key, "", "must be set") from None
        if "ctx" in first and isinstance(first["ctx"].get("error"), ConfigError):
            raise first["ctx"]["error"] from None
        choices = first.get("ctx", {}).get("expected", "") if first["type"] == "literal_error" else ""
        if choices:
            names = [word.strip(" '") for word in choices.replace(" or ", ",").split(",")]
            raise ConfigError(key, first["input"], "is none of its values", names) from None
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError(key, first["input"] if not isinstance(first["input"], dict) else "", message) from None


#: What stands in pydantic's paths but not in a key: tags of a value's types, and the TLB's folded arrays.
_TAGS = {"arrays", "int", "float", "str", "constrained-int", "constrained-float", "bool", "none"}
