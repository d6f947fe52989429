"""Config section of a workload."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from memvirt.config import Many, Seed, Size, TimeNs


class Workload(BaseModel):
    """What each VM runs: a synthetic generator, a recorded program, or a trace file, by name.

    Parameters
    ----------
    name : str
        A file of `workload/synthetic` or `workload/recorded`, or ``trace`` for the file at ``path``.
    accesses : int, optional
        Of each VM; all of a recorded trace, ``repeat`` times, if not given.
    footprint : bytes
        Of a synthetic workload.
    seed : int
        VM ``v`` of several uses ``seed + v``.
    repeat : int
        How often a recorded trace is gone through.
    warmup : float
        Simulated first and not counted: a share below 1, or a number of accesses.
    offset : int
        VM ``v`` starts a recorded trace at access ``v * offset`` and wraps around.
    instructions_per_access : int
        Of a synthetic workload.
    processes, switch_every : int
        Address spaces of each VM, which run the same workload on pages of their own and take turns.
    remap_every, remap_pages : int
        Every so many accesses so many pages are unmapped, to be mapped again when touched; 0 for never.
    table_writes_every, table_write_pages, table_write_share : int, int, float
        Every so many accesses the page-table entries of so many pages, one after the other, are rewritten, from anywhere in the
        lowest share of the footprint; 0 for never.
    fork_every : int
        Every so many accesses the process that runs forks: all of its pages become copy-on-write; 0 for never.
    fetches : bool
        Keep the instruction fetches that a trace was recorded with: accesses as others, but to the TLBs' instruction side,
        and to no data cache.
    dependence : float, optional
        Share of accesses whose address depends on what the access before has read; the CPU's default if neither this nor the
        workload itself says. It changes prices alone.
    flush_every, flush_all : int, bool
        Every so many accesses the guest flushes its address space from the TLB, or all of its address spaces; 0 for never.
    idle_every, idle_time : int, time
        Every so many accesses the VM does nothing for so long; 0 for never.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
    name: str
    path: str | None = None
    format: str | None = None
    accesses: Many | None = Field(None, ge=1)
    footprint: Size = Field(64 << 20, ge=8192)
    seed: Seed = 1
    repeat: Many = Field(1, ge=1)
    warmup: float = Field(0.0, ge=0, le=1 << 40)
    offset: Many = Field(0, ge=0)
    instructions_per_access: int = Field(3, ge=1, le=255)
    processes: int = Field(1, ge=1, le=1024)
    switch_every: Many = Field(20_000, ge=1)
    remap_every: Many = Field(0, ge=0)
    remap_pages: int = Field(16, ge=1, lt=1 << 31)
    table_writes_every: Many = Field(0, ge=0)
    table_write_pages: int = Field(1, ge=1, lt=1 << 31)
    table_write_share: float = Field(1.0, gt=0, le=1)
    fork_every: Many = Field(0, ge=0)
    fetches: bool = False
    dependence: float | None = Field(None, ge=0, le=1)
    flush_every: Many = Field(0, ge=0)
    flush_all: bool = False
    idle_every: Many = Field(0, ge=0)
    idle_time: TimeNs = Field(0.0, ge=0, le=4e12)

    @model_validator(mode="after")
    def _known(self) -> Workload:
        from memvirt.workload.names import check

        check(self.name, self.path, self.options)
        return self

    @property
    def options(self) -> dict[str, Any]:
        """Options of the workload's own."""
        return dict(self.model_extra or {})
