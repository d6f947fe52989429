"""Config section of the prices."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from memvirt.config import Section

Cycles = Annotated[float, Field(ge=0, le=1e9)]  #: of one event; sums of them stay exact


class Cpu(Section):
    """What each count costs, in cycles unless the name says otherwise; a preset of `conf/cpu` with its source.

    ``memory_stacked`` is memory on the die's own stack, where a mode uses any: 6 ns nearer than ``memory`` unless it is given.
    ``walkers`` is how many page walks can go on at once, ``fill_buffers`` how many misses of the L1D; ``dependence`` the share of
    accesses whose address depends on what the access before has read, where a workload doesn't say. What a program waits for
    follows from the three (`memvirt.cost.shown`), unless ``walk_shown`` or ``data_shown``, an effective share, is given.
    ``invlpg``, ``tlb_flush`` and ``invept`` are one such instruction, ``ipi`` and ``ipi_virtual`` what a shootdown takes for each
    CPU that it interrupts, on both sides, of a process and of a VM; ``unmap`` and ``protect`` a system call, ``unmap_page`` and
    ``protect_page`` each of its pages, without invalidating anything. Pages are cleared and copied at a bandwidth, in GB/s.
    ``resync`` is what synchronizing a shadow table takes, ``ad_update`` a locked write of an accessed or dirty bit.
    """

    ghz: float = Field(ge=1e-3, le=1e3)
    cycles_per_instruction: Cycles
    pwc: Cycles
    l1d: Cycles
    l2: Cycles
    llc: Cycles
    memory: Cycles
    memory_remote: Cycles
    memory_stacked: Cycles | None = None
    walkers: int = Field(1, ge=1, le=64)
    fill_buffers: int = Field(10, ge=1, le=1024)
    dependence: float = Field(0.5, ge=0, le=1)
    walk_shown: float | None = Field(None, ge=0, le=1)
    data_shown: float | None = Field(None, ge=0, le=1)
    exit_ept_violation: Cycles
    exit_shadow_fault_true: Cycles
    exit_shadow_fault_hidden: Cycles
    exit_write_protect: Cycles
    exit_page_table_write: Cycles
    exit_cr3_write: Cycles
    exit_invlpg: Cycles
    exit_hypercall: Cycles
    exit_mode_switch: Cycles
    resync: Cycles
    ad_update: Cycles
    invlpg: Cycles = 260
    tlb_flush: Cycles = 96
    invept: Cycles = 260
    ipi: Cycles = 1250
    ipi_virtual: Cycles = 5600
    unmap: Cycles = 1565
    unmap_page: Cycles = 309
    protect: Cycles = 619
    protect_page: Cycles = 60
    clear_bandwidth: float = Field(7.95, ge=1e-6, le=1e6)
    copy_bandwidth: float = Field(4.0, ge=1e-6, le=1e6)
    minor_fault: Cycles
    major_fault: Cycles
