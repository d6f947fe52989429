"""Config section of NUMA: nodes, how far they are, and where pages, page tables and vCPUs go."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from memvirt.config import Choice, Section, Size, TimeNs
from memvirt.errors import ConfigError
from memvirt.memory.migration import Host
from memvirt.memory.topology import MOST_NODES, check_distances, check_matrix, check_node, read_numactl
from memvirt.policy import load, names

MIGRATED = "migrated"  #: of tables, which follow what they map
TABLES = ("as_data", "local", "interleave", "replicated", MIGRATED)  #: where tables can be, or a node's number
OWN_TABLES = ("guest_tables", "host_tables", "shadow_tables")
OF_FILE = ("nodes", "cpus_per_node", "far_nodes", "memory", "distances")  #: what `numa.path` says


class Numa(Section):
    """Nodes, the CPUs of each, and where pages, tables and vCPUs go."""

    nodes: int = Field(1, ge=1, le=MOST_NODES)
    """[nodes] Of the host."""
    cpus_per_node: int = Field(8, ge=1, le=1024)
    """[CPUs] Of each node that isn't far; each has TLBs, walk caches, an L1D and an L2 of its own."""
    far_nodes: int = Field(0, ge=0, lt=MOST_NODES)
    """[nodes] The last of them, which have memory and no CPUs, as a CXL memory expander is to Linux."""
    memory: list[Size] | None = Field(None, min_length=1)
    """Memory of each node for data; null: each holds what all VMs were promised, or its part of what `overcommit` says. Where
    `overcommit` says how much there is in all, these are shares of it.
    """
    distances: list[list[int]] | None = None
    """[1] From each node to each, as ACPI's SLIT has it, 10 being local; null: all others are equally far. They decide where the
    pages of a full node go (Linux's fallback order).
    """
    latencies: list[list[TimeNs]] | None = None
    """Of a reference to memory, from a CPU of each node (row) to each node (column); null: `cpu.memory` and `cpu.memory_remote`."""
    bandwidths: list[list[Annotated[float, Field(gt=0, le=1e6)]]] | None = None
    """[GB/s] Of each node's memory (on the diagonal) and of the link from the CPUs of each node (row) to the memory of each
    (column): references wait for each other the longer the more of it they take (`memvirt/cost/queueing.py`); null: they don't.
    """
    background: list[Annotated[float, Field(ge=0, le=1e6)]] | None = None
    """[GB/s] That somebody else asks of each node's memory, where `numa.bandwidths` is given; null: nothing."""
    banks: int = Field(96, ge=1, le=1 << 20)
    """[banks] Of a node's memory, over which lines are spread evenly; each serves one at a time, so that waits are of the length of
    a bank's cycle: six channels of DDR4 have 96 (JESD79-4: 16 a rank).
    """
    path: str | None = None
    """File with what ``numactl -H`` prints, in place of nodes, CPUs, memory and distances."""
    vnuma: Literal["hidden", "shown"] = "hidden"
    """Whether guests are shown nodes: where they are `hidden`, the host places what is touched by the CPU that runs the vCPU; where
    they are `shown`, each guest has a node for each of the host's, its memory there, and takes each vCPU to be where it was put at
    the start, whatever `numa.scheduler` does since (KVM's virtual topology doesn't change while a VM runs).
    """
    placement: Choice
    """On which node a page is put at its first touch (Linux, mm/mempolicy.c)."""
    scheduler: Choice
    """On which CPUs the vCPUs are put, and whether they are moved."""
    migration: Choice = Choice(name="none")
    """Whether data move to the node of the vCPU that uses them (Linux's automatic NUMA balancing)."""
    guest_tables: str = "as_data"
    """On which node a process's page tables are put, in a VM its guest's: `as_data`, as a page of data would be; `local`, on that
    of the CPU that faults; a node's number; `interleave`, on the nodes in turn; `replicated`, on every node, so that each CPU
    reads its own and each write is made on all (Mitosis, ASPLOS'20); `migrated`, each to the node of
    most of its children at the end of each round of `numa.migration` (vMitosis, ASPLOS'21).
    """
    host_tables: str = "local"
    """The same of the host's tables behind a VM (EPT, NPT); KVM puts them `local`, and never moves them."""
    shadow_tables: str = "local"
    """The same of the tables that a mode adds: shadow tables, hashed ones, a guest hypervisor's. Those made at the start are
    `local` to the first CPU of their VM.
    """
    page_tables: str | None = None
    """Old name: of `numa.guest_tables` under one dimension, of `numa.host_tables` under two; it goes with the next version."""
    slice: TimeNs = Field(3e6, ge=1)
    """How long a vCPU runs before the next takes its turn, where there are more vCPUs than CPUs."""

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, said: Any) -> Any:
        """Take the topology from the file, whose name says nothing of the machine then."""
        if not isinstance(said, dict) or said.get("path") is None:
            return said
        path, found = str(said["path"]), read_numactl(str(said["path"]))
        near = [node for node, cpus in enumerate(found.cpus) if cpus]
        counts = {found.cpus[node] for node in near}
        if near != list(range(len(near))) or len(counts) != 1:
            why = f"has nodes of {', '.join(map(str, found.cpus))} CPUs: those with CPUs must come first, and have equally many"
            raise ConfigError("numa.path", path, why)
        said = {**said, "nodes": len(found.cpus), "cpus_per_node": counts.pop(), "far_nodes": len(found.cpus) - len(near)}
        return {**said, "memory": list(found.memory), "distances": [list(row) for row in found.distances], "path": None}

    @field_validator(*OWN_TABLES, mode="before")
    @classmethod
    def _node(cls, value: Any) -> Any:
        """Write a node's number as text, like the other places."""
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _known(self) -> Numa:
        for family, choice in (("placement", self.placement), ("scheduler", self.scheduler), ("migration", self.migration)):
            if choice.name not in names(f"memory.{family}"):
                raise ConfigError(f"numa.{family}", choice.name, "there is no such policy", names(f"memory.{family}"))
        # so that options that they refuse are known before anything is computed
        self.placement.call("numa.placement", load("memory.placement", self.placement.name).make, self.nodes)
        scheduler = load("memory.scheduler", self.scheduler.name)
        self.scheduler.call("numa.scheduler", scheduler.assign, [1], max(1, self.cpu_nodes), self.cpus_per_node)
        if hasattr(scheduler, "make"):
            self.scheduler.call("numa.scheduler", scheduler.make, [1], 1)
        migration = load("memory.migration", self.migration.name)
        self.migration.call("numa.migration", migration.make, Host(1, self.nodes, 1, 2, 1.0))
        self._check_migration()
        old = ["as_data", "first_touch", "interleave"]
        if self.page_tables is not None and self.page_tables not in old:
            raise ConfigError("numa.page_tables", self.page_tables, "is none of its values", old)
        for name in OWN_TABLES:
            if (value := getattr(self, name)).isdigit():
                check_node(f"numa.{name}", int(value), self.nodes)
            elif value not in TABLES:
                raise ConfigError(f"numa.{name}", value, "is none of its values, nor a node's number", TABLES)
        if self.far_nodes >= self.nodes:
            raise ConfigError("numa.far_nodes", self.far_nodes, f"leaves none of the {self.nodes} nodes of numa.nodes its CPUs")
        if self.memory is not None and (len(self.memory) != self.nodes or not any(self.memory)):
            raise ConfigError(
                "numa.memory", self.memory, f"must be a size for each of the {self.nodes} nodes of numa.nodes, not all 0"
            )
        if self.distances is not None:
            check_distances(self.distances, self.nodes)
        check_matrix("numa.latencies", self.latencies, self.nodes)
        self._check_bandwidths()
        return self

    def _check_bandwidths(self) -> None:
        """Refuse what isn't of each node, and a load that leaves nothing."""
        check_matrix("numa.bandwidths", self.bandwidths, self.nodes)
        if self.background is None:
            return
        if self.bandwidths is None:
            raise ConfigError("numa.background", self.background, "is a load of what numa.bandwidths says, which is null")
        if len(self.background) != self.nodes:
            raise ConfigError(
                "numa.background", self.background, f"must have a number for each of the {self.nodes} nodes of numa.nodes"
            )
        for node, asked in enumerate(self.background):
            if asked >= self.bandwidths[node][node]:
                why = f"leaves nothing of node {node}'s {self.bandwidths[node][node]:g} GB/s (numa.bandwidths)"
                raise ConfigError("numa.background", self.background, why)

    def _check_migration(self) -> None:
        """Refuse what can't move, or wouldn't."""
        if self.migration.name != "none" and self.placement.name != "first_touch":
            why = "leaves alone what an explicit policy has placed, as Linux does (vma_policy_mof): set numa.placement=first_touch"
            raise ConfigError("numa.migration", self.migration.name, why)
        for name in OWN_TABLES:
            if getattr(self, name) != MIGRATED:
                continue
            if name == "shadow_tables":
                why = "is of guests' and hosts' tables; hypervisors drop a shadow table and fill another"
                raise ConfigError(f"numa.{name}", MIGRATED, why, [place for place in TABLES if place != MIGRATED])
            if self.nodes > 1 and self.migration.name == "none":
                why = "goes by what numa.migration scans: set numa.migration=autonuma"
                raise ConfigError(f"numa.{name}", MIGRATED, why)

    @property
    def moves_data(self) -> bool:
        """Whether data may move between nodes."""
        return self.nodes > 1 and self.migration.name != "none"

    @property
    def moves(self) -> bool:
        """Whether data or vCPUs may."""
        scheduler = load("memory.scheduler", self.scheduler.name)
        moves = scheduler.moves(**self.scheduler.options) if hasattr(scheduler, "moves") else hasattr(scheduler, "make")
        return self.nodes > 1 and (self.moves_data or moves)

    @property
    def cpu_nodes(self) -> int:
        """Nodes that have CPUs."""
        return self.nodes - self.far_nodes

    def of_processes(self, dimensions: int) -> str:
        """As `guest_tables`, the old name considered."""
        return _newly_named(self.page_tables) if self.page_tables is not None and dimensions == 1 else self.guest_tables

    def of_host(self, dimensions: int) -> str:
        """As `host_tables`, the old name considered."""
        return _newly_named(self.page_tables) if self.page_tables is not None and dimensions == 2 else self.host_tables


def _newly_named(old: str) -> str:
    """What `numa.page_tables` calls a placement, in the words of the new keys."""
    return {"first_touch": "local", "interleave": "interleave"}.get(old, "as_data")
