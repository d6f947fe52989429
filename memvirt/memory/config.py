"""Config sections of the memory room: VMs, guest, host, clock, epochs, NUMA, overcommit, reclaim."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from memvirt.config import Choice, Many, Section, Seed, Size, TimeNs, parse_time_ns
from memvirt.errors import ConfigError, Conflict
from memvirt.memory.fleet import each_vm, read_fleet
from memvirt.memory.numa import Numa
from memvirt.memory.victims import make as make_victims
from memvirt.policy import load, names

AnyPageSize = Literal["4K", "2M", "1G", "thp"]


class Vm(Section):
    """What each VM can have of its own."""

    memory: Size | None = None
    """Of each VM, as its guest sees it; null: what the workload touches."""
    vcpus: int = Field(1, ge=1, le=256)
    """[vCPUs] Of each VM."""
    cache: Size = Field(0, ge=0)
    """Clean page cache that a VM has from its start: not accessed, given up without a write."""
    start: TimeNs = Field(0.0, ge=0)
    """When a VM begins to run."""
    shares: float = Field(1000.0, ge=1e-6, le=1e9)
    """[shares] A VM's claim to memory against the others'."""
    reservation: Size = Field(0, ge=0)
    """What a VM is never asked for."""
    limit: Size | None = Field(None, ge=4096)
    """The most host memory that a VM gets, as a cgroup's `memory.max`: it swaps pages of its own, and the run ends where it has
    none to give; null: no limit.
    """
    high: Size | None = Field(None, ge=4096)
    """Host memory from which on a VM swaps pages of its own and, where it has none to give, is held up the longer the further it is
    beyond, as a cgroup's `memory.high`; null: none.
    """
    nodes: list[int] | None = Field(None, min_length=1)
    """[nodes] Whose memory a VM may have, as a cpuset's mems: `[0,1]`; its data are on no other; null: all nodes."""

    @property
    def is_capped(self) -> bool:
        """Whether it gives up pages of its own however much the host has left."""
        return self.limit is not None or self.high is not None


class Vms(Vm):
    """The virtual machines: identical ones, or a list of members that replace what is common."""

    count: int = Field(1, ge=1, le=4096)
    """[VMs] Identical ones; `vms.members` goes before it."""
    scale: float = Field(1.0, ge=1e-3, le=1e6)
    """[1] Of page lives: one page of so many is simulated, and what is done to it takes so many times as long; sizes are real ones.
    Of access-level traces: how many times smaller than real ones the VMs are, and the host with them; what `reclaim=esx` and
    `linux` keep free is a real host's, divided by it.
    """
    scale_seed: Seed = 0
    """[1] Of the draw of which pages of a page life are simulated."""
    members: list[dict[str, Any]] | None = Field(None, min_length=1)
    """Different VMs, a mapping of each: its `workload` (a name, or keys to change), `contents` (keys to change) and its own of the
    keys here but `scale` and `scale_seed`, `count` for how many such VMs there are; null: all alike.
    """
    path: str | None = None
    """A fleet's table in place of `vms.members`, CSV: a row a kind of VM, a column a key (`count`, `memory`, `workload`,
    `workload.footprint`, …); null: none.
    """

    @model_validator(mode="before")
    @classmethod
    def _fleet(cls, said: Any) -> Any:
        """Make a table's rows members, and members as many as they say; the file's name says nothing of the VMs then."""
        if not isinstance(said, dict):
            return said
        members, path = said.get("members"), said.get("path")
        if path is not None:
            if members is not None:
                raise ConfigError("vms.path", path, "stands in place of vms.members: give one of the two")
            members = read_fleet(str(path))
        if isinstance(members, list) and members:
            members = each_vm(members, "vms.members")
        return {**said, "members": members, "path": None}


class Guest(Section):
    """The guest's paging."""

    page_size: AnyPageSize = "4K"
    """Of the guest's pages; `thp`: 2M where `guest.thp_fill` and `guest.fragmentation` let it, else 4K."""
    levels: Literal[4, 5] = 4
    """[levels] Of the guest's page tables."""
    prefault: bool | Literal["all"] = False
    """Map and back pages before the first access: `true` what the trace touches, in order of first touch; `all` the whole
    footprint, in order of address.
    """
    table_area: Literal["data", "blocks", "range"] | None = None
    """Where in guest-physical memory the guest's page tables stand: `data`, each in the next free frame among the data that it
    maps; `blocks`, in blocks of 2 MiB among the data, as Linux's buddy allocator keeps what can't move (mm/page_alloc.c); `range`,
    one contiguous range; null: `data` behind 4K host pages, else `blocks`. `mmu=native` ignores it.
    """
    swap: Size | None = Field(None, ge=0)
    """The guest's own swap file; null: as large as its memory where it has a balloon, else none."""
    replacement: str = "lru"
    """Which page the guest's kernel sends to its swap file: a policy of `reclaim.replacement`."""
    page_table: str | None = None
    """Dump of a real guest's page table (a number, then lines of ``VA,PE1,PE2,PE3,PE4,PA``, hexadecimal), which says where pages
    and tables are in guest-physical memory; null: the guest allocates them. It needs `guest.prefault` and 4K pages.
    """
    page_struct: int = Field(0, ge=0, lt=4096)
    """[bytes] That the guest's kernel keeps, as long as it runs, for each 4 KiB of `vms.memory`; 64 is Linux's `struct page` (a
    balloon doesn't shrink them: Waldspurger, OSDI'02, section 3.2).
    """
    thp_fill: float = Field(0.5, ge=0, le=1)
    """[share] Of an aligned 2 MiB region that the workload must touch for it to be one page under `thp` (traces carry no VMAs;
    this stands in for the rule that one must cover it).
    """
    fragmentation: float = Field(0.0, ge=0, le=1)
    """[share] Of 2 MiB regions in the guest's memory that can't be one page under `thp`."""

    @model_validator(mode="after")
    def _known(self) -> Guest:
        load("memory.replacement", self.replacement, "guest.replacement")
        return self


class Host(Section):
    """The host's paging behind the guests."""

    page_size: AnyPageSize = "4K"
    """Of the host's pages behind the guest's data; `thp` as for the guest."""
    table_page_size: Literal["4K", "2M", "1G"] | None = None
    """Of the host's pages behind the guest's page tables; null: as behind its data."""
    levels: Literal[0, 4, 5] = 4
    """[levels] Of the host's page tables; 0: an identity host without cost, for tests."""
    fragmentation: float = Field(0.0, ge=0, le=1)
    """[share] Of 2 MiB regions in the host's memory that can't be one page under `thp`."""
    page_table: str | None = None
    """Dump of the real host's page table behind `guest.page_table`, keyed by guest-physical address; null: guest frames are host
    frames of the same number, and the host's tables stand behind them.
    """

    @property
    def parts_tables(self) -> bool:
        """Whether the host pages behind tables are others than those behind data, so that no host page may hold both."""
        return self.page_size != "4K" or self.table_page_size is not None


class Clock(Section):
    """Time: what an instruction and a fault without I/O take, how often VMs take turns, and the host's own work."""

    ns_per_instruction: TimeNs = Field(0.2, ge=1e-6, le=1e9)
    """What an instruction takes, in the clock by which VMs take turns."""
    minor_fault: TimeNs = Field(500.0, ge=0)
    """What a page fault without I/O takes in that clock."""
    quantum: Many = Field(1024, ge=1)
    """[accesses] That a vCPU makes before another may go."""
    daemon_speedup: float = Field(1.0, ge=1e-6, le=1e6)
    """[1] Seconds that background work (scanners, samplers, balloons) sees for each second of the VMs."""
    merge: TimeNs = Field(6.2e3, ge=0)
    """What the host takes to merge a page (Difference Engine, OSDI'08, table 2)."""
    cow_break: TimeNs = Field(25.1e3, ge=0)
    """What it takes to copy a merged page that is written (the same table)."""
    migrate: TimeNs = Field(2e3, ge=0)
    """What it takes to move a page to another node, copying and the fault left out: Linux 6.18 takes 3.0 us for one page, of which
    1.02 are the copy (`migrate_pages`, measured on a Sapphire Rapids by `tests/benchmarks/moves.py`).
    """
    copy_page: TimeNs = Field(1.02e3, ge=0)
    """What it takes to copy 4 KiB of it: at 4 GB/s, as `cpu.copy_bandwidth`."""
    reclaim_page: TimeNs = Field(2.0e3, ge=0)
    """What a kernel takes of a CPU to take a page back that needn't be written, or of one that is: measured, as the next."""
    swap_out_page: TimeNs = Field(1.8e3, ge=0)
    """What it takes beside that to write one out, the device's own time left out (Linux 6.18 on a Xeon of 2023: CPU time of
    lowering a control group's limit by 64 MiB, medians of eleven runs: 2.0 us a page that swap holds already, 3.8 us one that is
    written to a swap file; quartiles 1.7 to 2.2 and 3.4 to 4.0; page cache that no table maps: 0.07 us).
    """
    reclaim_waits: bool = False
    """Whether a fault that must reclaim waits for that, and for compressing, before its page is read (direct reclaim); else it is
    taken to go on beside, and is the host's alone.
    """
    compress: TimeNs = Field(29.7e3, ge=0)
    """What it takes to compress a page (the same table)."""
    decompress: TimeNs = Field(10.4e3, ge=0)
    """What it takes to decompress one (the same table)."""
    scan: TimeNs = Field(1e3, ge=0)
    """What it takes to examine a page for sharing: a checksum over 4 KiB at 4 GB/s."""
    sample: TimeNs = Field(500.0, ge=0)
    """What it takes to sample whether a page is active: a fault on it."""


class Epoch(Section):
    """The grain of ``epochs.parquet``: every so many accesses of a VM, or every so much of its time."""

    accesses: Many | None = Field(None, ge=1)
    """[accesses] Of each VM in a row of `epochs.parquet`; null: see `epoch.time`."""
    time: TimeNs | None = Field(None, ge=1)
    """Of each VM's clock in a row of `epochs.parquet`, instead; one epoch if both are null."""

    @model_validator(mode="after")
    def _one(self) -> Epoch:
        if self.accesses is not None and self.time is not None:
            raise ConfigError("epoch.time", self.time, "set epoch.accesses or epoch.time, not both")
        return self


class Overcommit(Section):
    """Promised memory over host frames for data (1 if neither is given), or those frames themselves."""

    ratio: float | None = Field(None, ge=1e-3, le=1e6)
    """[ratio] Memory promised to all VMs ÷ host frames for data; null: 1, unless `overcommit.host_memory` is given."""
    host_memory: Size | None = Field(None, ge=4096)
    """Those host frames for data themselves, instead of a ratio."""
    charge_tables: bool = False
    """Whether page tables take of these frames as well."""

    @model_validator(mode="after")
    def _one(self) -> Overcommit:
        if self.ratio is not None and self.host_memory is not None:
            raise ConfigError(
                "overcommit.host_memory", self.host_memory, "set overcommit.ratio or overcommit.host_memory, not both"
            )
        return self


class Contents(Section):
    """What pages hold before they are written: zeros, pages of an image, contents that a VM has several times, or their own."""

    zero: float = Field(0.0, ge=0, le=1)
    """[share] Of pages that hold zeros until they are written."""
    common: float = Field(0.0, ge=0, le=1)
    """[share] Of pages that hold a page of an image until they are written; the rest have contents of their own."""
    image: str = "linux"
    """Name of that image: pages of the same image are equal across VMs."""
    distinct: int | None = Field(None, ge=1, lt=1 << 32)
    """[contents] Different ones in the image; null: each of its pages has its own."""
    repeated: float = Field(0.0, ge=0, le=1)
    """[share] Of pages that hold what the VM itself holds `contents.repeats` times and no other VM does, until they are written."""
    repeats: int = Field(2, ge=2, lt=1 << 32)
    """[pages] With each of those contents."""
    seed: Seed = 7
    """[1] Of the draw of contents."""
    fits_1k: float = Field(0.2, ge=0, le=1)
    """[share] Of contents that compress to at most 1 KiB."""
    fits_2k: float = Field(0.4, ge=0, le=1)
    """[share] Of contents that compress to more, but at most to 2 KiB."""

    @model_validator(mode="after")
    def _shares(self) -> Contents:
        for first, second in (("zero", "common"), ("fits_1k", "fits_2k")):
            if getattr(self, first) + getattr(self, second) > 1:
                raise ConfigError(f"contents.{second}", getattr(self, second), f"is more than contents.{first} leaves of 1")
        if self.zero + self.common + self.repeated > 1 + 1e-12:
            raise ConfigError("contents.repeated", self.repeated, "is more than contents.zero and contents.common leave of 1")
        return self


class Device(Section):
    """The swap device, an option of ``reclaim/device``."""

    name: str
    read_latency: TimeNs = Field(ge=0)
    """Of a request to read a page."""
    write_latency: TimeNs = Field(ge=0)
    """Of a request to write a page."""
    bandwidth: Size = Field(gt=0)
    """[bytes/s] Of the device: the data of requests goes one after the other."""
    channels: int = Field(ge=1, le=4096)
    """[requests] That go on at once."""


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


@cache
def _asked_by(make: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(make).parameters)


def make_policy(family: str, choice: Choice, key: str, *args: Any, **told: Any) -> Any:
    """State of the policy that a config names, its options checked by its own ``make``, which is told by name what it asks for.

    Raises
    ------
    ConfigError
    """
    make = load(family, choice.name, key).make
    asked = {name: value for name, value in told.items() if name in _asked_by(make)}
    return choice.call(key, make, *args, **asked)


class Reclaim(BaseModel):
    """How the host takes memory back: the policy by name with options of its own, and the mechanisms at its hand."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
    name: str
    replacement: Choice
    """Which page the host takes; exact `lru` and `opt` are bounds, which no host can reach."""
    victims: Choice = Choice(name="global")
    """Whose page goes, under host swap, compression and balloons alike: `global`, `shares`, `tax` or `idle`. Where each VM has
    pages of its own to choose from (`reclaim=esx`, `vms.limit`), `global` is `shares`.
    """
    sharing: Choice
    """Who looks for equal pages, to merge them."""
    balloon: Choice
    """How a guest is made to give memory back."""
    compression: Choice
    """Where pages are compressed before they go to the swap device."""
    device: Device
    """The swap device; its file has the source of its numbers."""
    swap_size: Size | None = Field(None, ge=4096)
    """[bytes] Of the host's swap, with what a compressed cache holds for it; null: as much as is wanted. Where it is full and no
    memory is left the run ends, as Linux would kill a VM.
    """
    page_cluster: int = Field(0, ge=0, le=6)
    """[log2 pages] A page that comes from swap brings neighbours along: up to 2 to this power of pages in all, fewer where those
    weren't used before (Linux's window).
    """

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
        make_victims(1, 0, self.victims.name, **self.victims.options)
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
        """Whether pages are taken of one VM at a time."""
        return self.victims.name != "global" or bool(getattr(load("memory.reclaim", self.name, "reclaim"), "PER_VM", False))

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
    if "groups" not in _asked_by(load("memory.replacement", name, key).make):
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


def asks_in_vain(reclaim: Reclaim) -> bool:
    """Whether a balloon is pressed for pages that replacement names, and one that it named stays its choice until it goes."""
    presses = getattr(load("memory.reclaim", reclaim.name), "PRESSES", False)
    return presses and getattr(load("memory.replacement", reclaim.replacement.name), "KEEPS_ITS_CHOICE", False)


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
        if part == "balloon" and not reclaim.per_vm and asks_in_vain(reclaim):
            why = f"can't be asked of reclaim.replacement={reclaim.replacement.name}, whose choice stands until that page goes"
            raise Conflict("reclaim.victims", "global", f"{why}: set reclaim.victims=shares, tax or idle, or another replacement")
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
    dumps: tuple[str, ...] = ()
    """Digests of the files of `guest.page_table` and `host.page_table`."""
    keep_mapped: bool = False
    """Ignore the workload's unmaps: for the baseline that a slowdown is measured against."""
    scale: float = 1.0
    """Real pages that a page stands for: what is done to it takes so many times as long, and rates are divided by it."""
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
