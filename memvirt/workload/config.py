"""Config section of a workload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from memvirt.config import Many, Seed, Size, TimeNs

PACKAGE = Path(__file__).parents[1]  #: where files that come with it are


class Workload(BaseModel):
    """What each VM runs: a synthetic generator, a recorded program, a trace file, or a page life, by name.

    ``name`` is a file of `workload/synthetic`, `workload/recorded` or `workload/life`, or ``trace`` for the file at ``path``.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
    name: str
    path: str | None = None
    """The trace's file, of `workload=trace`, or the table's of a life that is read from one; null for all others. Where there is
    none of that name, one that comes with the package (`experiments/before_the_cliff/memory.csv`).
    """
    format: str | None = None
    """How that file is written; null: its content says."""
    accesses: Many | None = Field(None, ge=1)
    """[accesses] Of each VM; null: all of a recorded trace, `workload.repeat` times."""
    footprint: Size = Field(64 << 20, ge=8192)
    """Memory that a synthetic workload uses, in the course of a page life."""
    seed: Seed = 1
    """[1] Of a synthetic workload's random numbers; VM v uses seed + v."""
    repeat: Many = Field(1, ge=1)
    """[times] How often a recorded trace is gone through."""
    warmup: float = Field(0.0, ge=0, le=1 << 40)
    """[share or accesses] Simulated first and not counted: a share below 1, or a number of accesses; of a page life, seconds."""
    offset: Many = Field(0, ge=0)
    """[accesses] VM v starts a recorded trace at access v × offset, and wraps around."""
    instructions_per_access: int = Field(3, ge=1, le=255)
    """[instructions] Of a synthetic workload, the access's own included."""
    processes: int = Field(1, ge=1, le=1024)
    """[processes] Address spaces of each VM, which run the same workload on pages of their own and take turns."""
    switch_every: Many = Field(20_000, ge=1)
    """[accesses] After how many the next of these processes runs."""
    remap_every: Many = Field(0, ge=0)
    """[accesses] How often pages are unmapped, to be mapped again when they are touched; 0: never."""
    remap_pages: int = Field(16, ge=1, lt=1 << 31)
    """[pages] How many are unmapped at a time."""
    table_writes_every: Many = Field(0, ge=0)
    """[accesses] How often page-table entries are rewritten; 0: never."""
    table_write_pages: int = Field(1, ge=1, lt=1 << 31)
    """[pages] Neighbouring pages whose entries are rewritten at a time."""
    table_write_share: float = Field(1.0, gt=0, le=1)
    """[share] Lowest part of the footprint, in which these pages lie."""
    fork_every: Many = Field(0, ge=0)
    """[accesses] How often the running process forks: all of its pages become copy-on-write; 0: never."""
    fetches: bool = False
    """Keep the instruction fetches that a trace was recorded or imported with (`--fetches`): they look up the TLBs' instruction
    side and no data cache.
    """
    dependence: float | None = Field(None, ge=0, le=1)
    """[share] Of accesses whose address depends on what the access before has read (a pointer chase 1, GUPS 0), and which so wait
    for their walk and data; null: what the workload is known for, else `cpu.dependence`.
    """
    flush_every: Many = Field(0, ge=0)
    """[accesses] How often the guest flushes its address space from the TLB; 0: never."""
    flush_all: bool = False
    """Whether it flushes all of its address spaces then."""
    idle_every: Many = Field(0, ge=0)
    """[accesses] How often the VM sleeps; 0: never."""
    idle_time: TimeNs = Field(0.0, ge=0, le=4e12)
    """How long it sleeps each time."""

    detail: str | dict[str, Any] | None = None
    """Of a page life: the access-level workload that stands for what its CPU does, a name or a mapping of keys; null: its own.
    Of any workload `none`: no translation is simulated, which tells what memory alone costs, sooner.
    """

    @field_validator("path")
    @classmethod
    def _in_the_package(cls, path: str | None) -> str | None:
        ours = PACKAGE / path if path else PACKAGE
        return str(ours) if path and not Path(path).exists() and ours.is_file() else path

    @model_validator(mode="after")
    def _known(self) -> Workload:
        from memvirt.workload.names import check

        check(self.name, self.path, self.options, self.detail)
        return self

    @property
    def options(self) -> dict[str, Any]:
        """Options of the workload's own."""
        return dict(self.model_extra or {})
