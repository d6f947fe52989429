"""Config section of the prices."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from memvirt.config import Section
from memvirt.errors import ConfigError

Cycles = Annotated[float, Field(ge=0, le=1e9)]  #: of one event; sums of them stay exact


class Cpu(Section):
    """What each count costs: a preset of `conf/cpu`, with its source.

    What a program waits for follows from `walkers`, `fill_buffers` and the dependence (`memvirt.cost.shown`).
    """

    ghz: float = Field(ge=1e-3, le=1e3)
    """[GHz] Clock, by which times become cycles."""
    cycles_per_instruction: Cycles
    """[cycles] Of an instruction without misses."""
    pwc: Cycles
    """[cycles] Of looking up a page-walk cache."""
    l1d: Cycles
    """[cycles] Of a reference found in the L1D."""
    l2: Cycles
    """[cycles] Of one found in the L2."""
    llc: Cycles
    """[cycles] Of one found in the last level."""
    memory: Cycles
    """[cycles] Of one found in memory of the own node."""
    memory_remote: Cycles
    """[cycles] Of one found in memory of another node."""
    memory_stacked: Cycles | None = None
    """[cycles] Of one found in memory stacked on the die (`mmu=pom_tlb`); null: 6 ns less than `cpu.memory`."""
    walkers: int = Field(1, ge=1, le=64)
    """[walks] That can go on at once."""
    fill_buffers: int = Field(10, ge=1, le=1024)
    """[misses] Of the L1D that can go on at once."""
    dependence: float = Field(0.5, ge=0, le=1)
    """[share] Of accesses that depend on the one before, where neither the workload nor `workload.dependence` says."""
    walk_shown: float | None = Field(None, ge=0, le=1)
    """[share] Of a walk's latency that the program waits for; null: what follows from `cpu.walkers` and dependence."""
    data_shown: float | None = Field(None, ge=0, le=1)
    """[share] Of data's latency that the program waits for; null: what follows from `cpu.fill_buffers` and dependence."""
    exit_ept_violation: Cycles
    """[cycles] Of a VM exit for a page that the host hasn't mapped."""
    exit_shadow_fault_true: Cycles
    """[cycles] Of one for a page fault that is the guest's own, under shadow paging."""
    exit_shadow_fault_hidden: Cycles
    """[cycles] Of one for a page fault that only the shadow tables have."""
    exit_write_protect: Cycles
    """[cycles] Of one for a write to a page that the host protects."""
    exit_page_table_write: Cycles
    """[cycles] Of one for a write to a page table that the host watches."""
    exit_cr3_write: Cycles
    """[cycles] Of one for loading an address space."""
    exit_invlpg: Cycles
    """[cycles] Of one for INVLPG."""
    exit_hypercall: Cycles
    """[cycles] Of a hypercall."""
    exit_mode_switch: Cycles
    """[cycles] Of an exit in which tables change between shadow and nested."""
    resync: Cycles
    """[cycles] Of synchronizing a shadow table."""
    ad_update: Cycles
    """[cycles] Of a locked write of an accessed or dirty bit."""
    invlpg: Cycles = 260
    """[cycles] Of invalidating an entry."""
    tlb_flush: Cycles = 96
    """[cycles] Of flushing a CPU's address space."""
    invept: Cycles = 260
    """[cycles] Of flushing a VM's entries."""
    ipi: Cycles = 1250
    """[cycles] Of a shootdown's interrupt of another CPU, on both sides."""
    ipi_virtual: Cycles = 5600
    """[cycles] Of one of another vCPU."""
    unmap: Cycles = 1565
    """[cycles] Of a system call that unmaps, without its pages."""
    unmap_page: Cycles = 309
    """[cycles] Of each entry that it unmaps, without invalidating it."""
    protect: Cycles = 619
    """[cycles] Of a system call that protects, without its pages."""
    protect_page: Cycles = 60
    """[cycles] Of each entry that it protects, without invalidating it."""
    vcpu_move: Cycles = 19000
    """[cycles] Of having a vCPU go on on another CPU, what it finds there left out: 9 us, which Linux 6.18 takes to move a thread
    (`sched_setaffinity`, measured in a virtual machine at 2.1 GHz by `tests/benchmarks/moves.py`: the interrupt of the other CPU
    is an exit there); what KVM does to run a vCPU on another CPU isn't in it.
    """
    replica_map: Cycles = 46
    """[cycles] Of each entry that is mapped in a replica of a page table, its part of clearing that included (Mitosis, ASPLOS'20,
    the artifact's table 5, of 2,048 pages: a page takes 1677 cycles with four replicas, and 1539 without).
    """
    replica_unmap: Cycles = 53.67
    """[cycles] Of each that is unmapped there (471 for 310)."""
    replica_protect: Cycles = 65.67
    """[cycles] Of each that is rewritten there (257 for 60)."""
    clear_bandwidth: float = Field(7.95, ge=1e-6, le=1e6)
    """[GB/s] At which pages are cleared."""
    copy_bandwidth: float = Field(4.0, ge=1e-6, le=1e6)
    """[GB/s] At which pages are copied."""
    minor_fault: Cycles
    """[cycles] Of a page fault without I/O, clearing left out."""
    major_fault: Cycles
    """[cycles] CPU time of a page fault with I/O, waiting left out."""

    @model_validator(mode="after")
    def _near_is_fast(self) -> Cpu:
        """What lies beyond the L1D is priced by how much longer it takes than the L1D, which is part of an instruction's price."""
        for name in ("l2", "llc", "memory", "memory_remote"):
            if getattr(self, name) < self.l1d:
                why = f"is more than cpu.{name}={getattr(self, name):g}: a reference found in the L1D can't take longer than others"
                raise ConfigError("cpu.l1d", self.l1d, why)
        return self
