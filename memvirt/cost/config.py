"""Config section of the prices."""

from __future__ import annotations

from pydantic import Field

from memvirt.config import Section


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

    ghz: float = Field(gt=0)
    cycles_per_instruction: float = Field(ge=0)
    pwc: float = Field(ge=0)
    l1d: float = Field(ge=0)
    l2: float = Field(ge=0)
    llc: float = Field(ge=0)
    memory: float = Field(ge=0)
    memory_remote: float = Field(ge=0)
    memory_stacked: float | None = Field(None, ge=0)
    walkers: int = Field(1, ge=1, le=64)
    fill_buffers: int = Field(10, ge=1, le=1024)
    dependence: float = Field(0.5, ge=0, le=1)
    walk_shown: float | None = Field(None, ge=0, le=1)
    data_shown: float | None = Field(None, ge=0, le=1)
    exit_ept_violation: float = Field(ge=0)
    exit_shadow_fault_true: float = Field(ge=0)
    exit_shadow_fault_hidden: float = Field(ge=0)
    exit_write_protect: float = Field(ge=0)
    exit_page_table_write: float = Field(ge=0)
    exit_cr3_write: float = Field(ge=0)
    exit_invlpg: float = Field(ge=0)
    exit_hypercall: float = Field(ge=0)
    exit_mode_switch: float = Field(ge=0)
    resync: float = Field(ge=0)
    ad_update: float = Field(ge=0)
    invlpg: float = Field(260, ge=0)
    tlb_flush: float = Field(96, ge=0)
    invept: float = Field(260, ge=0)
    ipi: float = Field(1250, ge=0)
    ipi_virtual: float = Field(5600, ge=0)
    unmap: float = Field(1565, ge=0)
    unmap_page: float = Field(309, ge=0)
    protect: float = Field(619, ge=0)
    protect_page: float = Field(60, ge=0)
    clear_bandwidth: float = Field(7.95, gt=0)
    copy_bandwidth: float = Field(4.0, gt=0)
    minor_fault: float = Field(ge=0)
    major_fault: float = Field(ge=0)
