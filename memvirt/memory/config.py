"""Config sections of the memory room: VMs, guest, host, clock, epochs, NUMA, overcommit, reclaim."""

from __future__ import annotations

import inspect
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from memvirt.config import Choice, Many, Section, Seed, Size, TimeNs, parse_time_ns
from memvirt.errors import ConfigError, Conflict
from memvirt.policy import load, names

AnyPageSize = Literal["4K", "2M", "1G", "thp"]


class Vm(Section):
    """What each VM can have of its own."""

    memory: Size | None = None
    vcpus: int = Field(1, ge=1, le=256)
    cache: Size = Field(0, ge=0)
    start: TimeNs = Field(0.0, ge=0)
    shares: float = Field(1000.0, ge=1e-6, le=1e9)
    reservation: Size = Field(0, ge=0)
    limit: Size | None = Field(None, ge=4096)


class Vms(Vm):
    """The virtual machines.

    ``count`` identical ones, or ``members``: one mapping a VM, whose ``workload`` (an option's name or
    keys to change), ``contents`` (keys to change) and own keys replace the common ones.

    ``cache`` is memory that holds clean copies of files from the start: not accessed by the workload, given up without a write.
    ``start`` is when a VM begins to run; ``shares`` is its claim to memory against others', ``reservation`` what it is never asked
    for, ``limit`` the most host memory that it is given.

    ``scale``: how many times smaller than real ones they are, and so the host that they run on; policies that keep something of a
    real host's size go by it.
    """

    count: int = Field(1, ge=1, le=4096)
    scale: float = Field(1.0, ge=1e-3, le=1e6)
    members: list[dict[str, Any]] | None = None


class Guest(Section):
    """The guest's paging.

    ``prefault``: true maps and backs every page that the trace touches before the first access, in order of first touch;
    ``all`` every page of the footprint, touched or not, in order of address.

    ``swap`` is the size of the guest's own swap file: if null, as large as its memory where a balloon can press it, else none.
    ``replacement`` is how its kernel chooses what goes there.

    ``table_area`` says where in guest-physical memory its page tables stand: ``data``, each in the next free frame, among the data
    that it maps; ``blocks``, in aligned blocks of 2 MiB (or of the larger host page) that are taken one at a time and so lie among
    the data, as Linux's buddy allocator keeps pages that can't move in page blocks of their own (mm/page_alloc.c); ``range``, all
    in one contiguous range. If null, ``data`` where the host's pages are all 4K, ``blocks`` where they aren't, or where
    `Host.table_page_size` is set. One dimension has no guest-physical memory, and ignores it.

    ``page_struct``: bytes that its kernel keeps, as long as it runs, for each 4 KiB of the memory that it booted with: 64 is
    Linux's ``struct page``. What a balloon takes later doesn't shrink them (Waldspurger, OSDI'02, section 3.2).

    ``thp``: an aligned 2 MiB region is one page if the workload touches at least ``thp_fill`` of it (traces
    carry no VMAs; this stands in for the rule that one must cover it) and the guest's memory isn't
    fragmented there, which a share ``fragmentation`` of regions is.
    """

    page_size: AnyPageSize = "4K"
    levels: Literal[4, 5] = 4
    prefault: bool | Literal["all"] = False
    table_area: Literal["data", "blocks", "range"] | None = None
    swap: Size | None = Field(None, ge=0)
    replacement: str = "lru"
    page_struct: int = Field(0, ge=0, lt=4096)
    thp_fill: float = Field(0.5, ge=0, le=1)
    fragmentation: float = Field(0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _known(self) -> Guest:
        load("memory.replacement", self.replacement, "guest.replacement")
        return self


class Host(Section):
    """The host's paging behind the guests; 0 levels are an identity host that costs nothing, for tests.

    ``table_page_size`` is the size of the host pages behind the guest's page tables, if not that of those behind its data.
    """

    page_size: AnyPageSize = "4K"
    table_page_size: Literal["4K", "2M", "1G"] | None = None
    levels: Literal[0, 4, 5] = 4
    fragmentation: float = Field(0.0, ge=0, le=1)

    @property
    def parts_tables(self) -> bool:
        """Whether the host pages behind tables are others than those behind data, so that no host page may hold both."""
        return self.page_size != "4K" or self.table_page_size is not None


class Clock(Section):
    """Time: what an instruction and a fault without I/O take, how often VMs take turns in the simulation, and the host's own work.

    ``daemon_speedup``: seconds that background work (scanners, samplers, balloons) sees for each second of the VMs. The times of
    merging a page, of copying a merged one that is written, of compressing and decompressing are those of table 2 of Difference
    Engine (OSDI'08); ``scan`` is what examining a page takes (a checksum over 4 KiB), ``sample`` what sampling one takes (a fault).
    """

    ns_per_instruction: TimeNs = Field(0.2, ge=1e-6, le=1e9)
    minor_fault: TimeNs = Field(500.0, ge=0)
    quantum: Many = Field(1024, ge=1)
    daemon_speedup: float = Field(1.0, ge=1e-6, le=1e6)
    share: TimeNs = Field(6.2e3, ge=0)
    cow_break: TimeNs = Field(25.1e3, ge=0)
    compress: TimeNs = Field(29.7e3, ge=0)
    decompress: TimeNs = Field(10.4e3, ge=0)
    scan: TimeNs = Field(1e3, ge=0)
    sample: TimeNs = Field(500.0, ge=0)


class Epoch(Section):
    """The grain of ``epochs.parquet``: every so many accesses of a VM, or every so much of its time."""

    accesses: Many | None = Field(None, ge=1)
    time: TimeNs | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _one(self) -> Epoch:
        if self.accesses is not None and self.time is not None:
            raise ConfigError("epoch.time", self.time, "set epoch.accesses or epoch.time, not both")
        return self


class Numa(Section):
    """Nodes, the CPUs of each, and where pages, tables and vCPUs go."""

    nodes: int = Field(1, ge=1, le=64)
    cpus_per_node: int = Field(8, ge=1, le=1024)
    placement: Choice
    scheduler: Choice
    page_tables: str = "as_data"
    slice: TimeNs = Field(3e6, ge=1)

    @model_validator(mode="after")
    def _known(self) -> Numa:
        choices = ["as_data", *names("memory.placement")]
        if self.page_tables not in choices:
            raise ConfigError("numa.page_tables", self.page_tables, "is none of its values", choices)
        for family, choice in (("placement", self.placement), ("scheduler", self.scheduler)):
            if choice.name not in names(f"memory.{family}"):
                raise ConfigError(f"numa.{family}", choice.name, "there is no such policy", names(f"memory.{family}"))
        return self


class Overcommit(Section):
    """Promised memory over host frames for data (1 if neither is given), or those frames themselves."""

    ratio: float | None = Field(None, ge=1e-3, le=1e6)
    host_memory: Size | None = Field(None, ge=4096)
    charge_tables: bool = False

    @model_validator(mode="after")
    def _one(self) -> Overcommit:
        if self.ratio is not None and self.host_memory is not None:
            raise ConfigError(
                "overcommit.host_memory", self.host_memory, "set overcommit.ratio or overcommit.host_memory, not both"
            )
        return self


class Contents(Section):
    """What pages hold before they are written: a share ``zero`` zeros, a share ``common`` pages of ``image``, the others their own.

    The pages of an image have ``distinct`` different contents, drawn by their number and ``seed``; each its own if that is null.
    Shares ``fits_1k`` and ``fits_2k`` of all contents compress to at most 1 KiB, and to more, but at most 2 KiB.
    """

    zero: float = Field(0.0, ge=0, le=1)
    common: float = Field(0.0, ge=0, le=1)
    image: str = "linux"
    distinct: int | None = Field(None, ge=1, lt=1 << 32)
    seed: Seed = 7
    fits_1k: float = Field(0.2, ge=0, le=1)
    fits_2k: float = Field(0.4, ge=0, le=1)

    @model_validator(mode="after")
    def _shares(self) -> Contents:
        for first, second in (("zero", "common"), ("fits_1k", "fits_2k")):
            if getattr(self, first) + getattr(self, second) > 1:
                raise ConfigError(f"contents.{second}", getattr(self, second), f"is more than contents.{first} leaves of 1")
        return self


class Device(Section):
    """The swap device, an option of ``reclaim/device``.

    ``channels`` requests go on at once, each for its latency; their data goes one after the other, at ``bandwidth`` (bytes a
    second).
    """

    name: str
    read_latency: TimeNs = Field(ge=0)
    write_latency: TimeNs = Field(ge=0)
    bandwidth: Size = Field(gt=0)
    channels: int = Field(ge=1, le=4096)


#: Options that say how often background work is done, all but ``tick`` in its own time.
PERIODS = ("period", "sleep", "tick")
MOST_STEPS = 1e8  #: of one kind of background work
MECHANISMS = ("replacement", "sharing", "balloon", "compression")


def check_options(key: str, choice: dict[str, Any]) -> dict[str, Any]:
    """Check a reclaim policy's or mechanism's options, where its file has a section ``Options``, and fill in what isn't given."""
    part = key.partition(".")[2]
    family = "memory." + (part or "reclaim")
    section = getattr(load(family, choice["name"]), "Options", None) if choice.get("name") in names(family) else None
    if section is None:
        return choice
    own = {name: value for name, value in choice.items() if name != "name" and (part or name not in Reclaim.model_fields)}
    try:
        return {**choice, **section(**own).model_dump()}
    except ValidationError as wrong:
        first = wrong.errors()[0]
        why = "there is no such key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{key}.{first['loc'][0]}", first["input"], why) from None


def make_policy(family: str, choice: Choice, key: str, *args: Any) -> Any:
    """State of the policy that a config names, its options checked by its own ``make``.

    Raises
    ------
    ConfigError
    """
    module = load(family, choice.name, key)
    try:
        return module.make(*args, **choice.options)
    except TypeError as wrong:
        raise ConfigError(key, choice.name, f"its options don't fit: {wrong}") from wrong


class Reclaim(BaseModel):
    """How the host takes memory back: the policy by name with options of its own, and the mechanisms at its hand.

    ``page_cluster``: a page that comes from swap brings up to 2 to this power of neighbours, its own self included.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
    name: str
    replacement: Choice
    sharing: Choice
    balloon: Choice
    compression: Choice
    device: Device
    page_cluster: int = Field(0, ge=0, le=6)

    @model_validator(mode="before")
    @classmethod
    def _options(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        parts = {part: check_options(f"reclaim.{part}", given[part]) for part in MECHANISMS if isinstance(given.get(part), dict)}
        return check_options("reclaim", {**given, **parts})

    @model_validator(mode="after")
    def _known(self) -> Reclaim:
        families = {
            "": self.name,
            **{part: getattr(self, part).name for part in MECHANISMS},
        }
        for part, name in families.items():
            choices = names("memory." + (part or "reclaim"))
            if name not in choices:
                raise ConfigError(f"reclaim.{part}" if part else "reclaim", name, "there is no such policy", choices)
        # of the least size, so that options that they refuse are known before anything is computed
        make_policy("memory.reclaim", Choice(name=self.name, **self.options), "reclaim", 1, 0)
        make_policy("memory.balloon", self.balloon, "reclaim.balloon", 1, 0)
        make_policy("memory.compression", self.compression, "reclaim.compression", np.zeros(1, np.int64), 1)
        return self

    @property
    def options(self) -> dict[str, Any]:
        """Options of the policy's own."""
        return dict(self.model_extra or {})

    @property
    def foresees(self) -> bool:
        """Whether page replacement must be told the future."""
        return bool(getattr(load("memory.replacement", self.replacement.name), "FORESEES", False))

    @property
    def per_vm(self) -> bool:
        """Whether the policy takes pages of one VM at a time."""
        return bool(getattr(load("memory.reclaim", self.name, "reclaim"), "PER_VM", False))

    @property
    def in_background(self) -> bool:
        """Whether anything goes on while the host isn't short of memory."""
        return self.name not in ("none", "swap") or self.sharing.name != "none" or self.balloon.name != "none"


def check_table_area(guest: Guest, host: Host) -> None:
    """Refuse tables among the data where one host page would hold both.

    Raises
    ------
    Conflict
    """
    if guest.table_area == "data" and host.parts_tables:
        why = "would put tables and data in one host page: set blocks or range, or host.page_size=4K without host.table_page_size"
        raise Conflict("guest.table_area", "data", why)


def check_replacement(key: str, name: str, asks: str) -> None:
    """Refuse a page replacement that knows no VMs where ``asks`` wants a page of one.

    Raises
    ------
    Conflict
    """
    if "groups" not in inspect.signature(load("memory.replacement", name, key).make).parameters:
        raise Conflict(key, name, f"can't name a page of one VM, as {asks} asks it to")


def swaps_itself(guest: Guest, reclaim: Reclaim) -> bool:
    """Whether guests have swap files of their own."""
    return reclaim.balloon.name != "none" if guest.swap is None else guest.swap >> 12 > 0


def check_pace(reclaim: Reclaim, clock: Clock, longest_ns: float) -> None:
    """Refuse background work in steps so short that there would be no end to them in the time that a VM runs.

    Raises
    ------
    Conflict
    """
    parts = {"reclaim": reclaim.options} | {f"reclaim.{part}": getattr(reclaim, part).options for part in MECHANISMS}
    for key, options in parts.items():
        for name, value in options.items():
            if name not in PERIODS:
                continue
            every = parse_time_ns(value) / (1.0 if name == "tick" else clock.daemon_speedup)
            steps = longest_ns / every
            if steps > MOST_STEPS:
                why = f"makes {steps:.1e} steps in the {longest_ns / 1e9:.1e} s of a VM: set it longer, or daemon_speedup less"
                raise Conflict(f"{key}.{name}", value, why)


def check_mechanisms(reclaim: Reclaim, dimensions: int, guest: Guest, host: Host, vcpus: int) -> None:
    """Refuse what can't work together; ``vcpus``: the most of a VM.

    Raises
    ------
    Conflict
    """
    large = host.page_size if dimensions == 2 else guest.page_size
    if reclaim.foresees and (large != "4K" or vcpus > 1):
        why = "foresees accesses to single pages, of one vCPU a VM: set pages of 4K and vms.vcpus=1"
        raise Conflict("reclaim.replacement", reclaim.replacement.name, why)
    for part in ("sharing", "balloon"):
        name = getattr(reclaim, part).name
        if name == "none":
            continue
        if part == "balloon" and dimensions == 1:
            raise Conflict("reclaim.balloon", name, "a process of the host (mmu=native) has no balloon; use a mode with VMs")
        if large == "1G" or guest.page_size == "1G":
            raise Conflict(f"reclaim.{part}", name, "can't be had with pages of 1G, which are not split")
        if part == "sharing" and dimensions == 1 and large != "4K":
            raise Conflict(f"reclaim.{part}", name, "merges pages of 4K only; set guest.page_size=4K under mmu=native")


class Member(Vm):
    """What the memory room reads of one VM."""

    warmup: float = 0.0
    contents: Contents = Field(default_factory=lambda: Contents.model_validate({}))


class MemoryConfig(Section):
    """All that the memory room reads.

    ``dimensions`` comes from the mode's traits (1: the VMs are processes of the host).
    """

    dimensions: Literal[1, 2]
    members: list[Member]
    guest: Guest
    host: Host
    clock: Clock
    epoch: Epoch
    numa: Numa
    overcommit: Overcommit
    reclaim: Reclaim
    keep_mapped: bool = False
    """Ignore the workload's unmaps: for the baseline that a slowdown is measured against."""
    seed: int = 0

    @property
    def table_area(self) -> Literal["data", "blocks", "range"]:
        """As `Guest.table_area`, with its default filled in."""
        if self.dimensions == 1:
            return "data"
        return self.guest.table_area or ("blocks" if self.host.parts_tables else "data")

    @property
    def page_struct(self) -> int:
        """As `Guest.page_struct`; a process of the host has no kernel of its own."""
        return self.guest.page_struct if self.dimensions == 2 else 0
