"""Config sections of the memory room: VMs, guest, host, clock, epochs, NUMA, overcommit, reclaim."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from memvirt.config import Choice, Section, Size, TimeNs
from memvirt.errors import ConfigError
from memvirt.policy import names

AnyPageSize = Literal["4K", "2M", "1G", "thp"]


class Vms(Section):
    """The virtual machines.

    ``count`` identical ones, or ``members``: one mapping a VM, whose ``workload`` (an option's name or
    keys to change), ``memory`` and ``vcpus`` replace the common ones.
    """

    count: int = Field(1, ge=1, le=4096)
    memory: Size | None = None
    vcpus: int = Field(1, ge=1, le=256)
    members: list[dict[str, Any]] | None = None


class Guest(Section):
    """The guest's paging.

    ``prefault``: true maps and backs every page that the trace touches before the first access, in order of first touch;
    ``all`` every page of the footprint, touched or not, in order of address.

    ``thp``: an aligned 2 MiB region is one page if the workload touches at least ``thp_fill`` of it (traces
    carry no VMAs; this stands in for the rule that one must cover it) and the guest's memory isn't
    fragmented there, which a share ``fragmentation`` of regions is.
    """

    page_size: AnyPageSize = "4K"
    levels: Literal[4, 5] = 4
    prefault: bool | Literal["all"] = False
    thp_fill: float = Field(0.5, ge=0, le=1)
    fragmentation: float = Field(0.0, ge=0, le=1)


class Host(Section):
    """The host's paging behind the guests; 0 levels are an identity host that costs nothing, for tests.

    ``table_page_size`` is the size of the host pages behind the guest's page tables, if not that of those behind its data.
    """

    page_size: AnyPageSize = "4K"
    table_page_size: Literal["4K", "2M", "1G"] | None = None
    levels: Literal[0, 4, 5] = 4
    fragmentation: float = Field(0.0, ge=0, le=1)


class Clock(Section):
    """Time: what an instruction and a fault without I/O take, and how often VMs take turns in the simulation."""

    ns_per_instruction: TimeNs = Field(0.2, gt=0)
    minor_fault: TimeNs = Field(500.0, ge=0)
    quantum: int = Field(1024, ge=1)
    daemon_speedup: float = 1.0

    @model_validator(mode="after")
    def _idle(self) -> Clock:
        if self.daemon_speedup != 1:
            raise ConfigError("clock.daemon_speedup", self.daemon_speedup, "no background work is built yet; leave it at 1")
        return self


class Epoch(Section):
    """The grain of ``epochs.parquet``: every so many accesses of a VM, or every so much of its time."""

    accesses: int | None = Field(None, ge=1)
    time: TimeNs | None = Field(None, gt=0)

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
    slice: TimeNs = Field(3e6, gt=0)

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

    ratio: float | None = Field(None, gt=0)
    host_memory: Size | None = Field(None, gt=0)
    charge_tables: bool = False

    @model_validator(mode="after")
    def _one(self) -> Overcommit:
        if self.ratio is not None and self.host_memory is not None:
            raise ConfigError(
                "overcommit.host_memory", self.host_memory, "set overcommit.ratio or overcommit.host_memory, not both"
            )
        return self


class Reclaim(Section):
    """How the host takes memory back, and the swap device.

    One request at a time moves over the device at ``bandwidth`` (bytes a second); its latency adds to a
    read that a VM waits for, while writes go on behind it.
    """

    name: str
    replacement: Choice
    read_latency: TimeNs = Field(80e3, ge=0)
    bandwidth: Size = Field(2 << 30, gt=0)


class MemoryConfig(Section):
    """All that the memory room reads.

    ``dimensions`` comes from the mode's traits (1: the VMs are processes of the host); ``memory`` and
    ``vcpus`` hold one value a VM, ``warmup`` as in the workload section.
    """

    dimensions: Literal[1, 2]
    memory: list[Size | None]
    vcpus: list[int]
    warmup: list[float]
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
