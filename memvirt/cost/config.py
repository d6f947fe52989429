"""Config section of the prices."""

from __future__ import annotations

from pydantic import Field

from memvirt.config import Section


class Cpu(Section):
    """What each count costs, in cycles unless the name says otherwise; a preset of `conf/cpu` with its source.

    ``memory_overlap`` is the share of a data access's latency beyond the L1 that out-of-order execution hides;
    of walks' it hides ``walk_hidden``; ``walk_overlap`` is the share of walks that another could go on beside, where there are
    ``walkers``.
    ``memory_stacked`` is memory on the die's own stack, where a mode uses any: 6 ns nearer than ``memory`` unless it is given.
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
    memory_overlap: float = Field(0.0, ge=0, le=1)
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
    walkers: int = Field(1, ge=1, le=64)
    walk_overlap: float = Field(0.0, ge=0, le=1)
    walk_hidden: float = Field(0.0, ge=0, le=1)
    minor_fault: float = Field(ge=0)
    major_fault: float = Field(ge=0)
