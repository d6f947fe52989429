"""Config section of the prices."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from memvirt.config import Section

Cycles = Annotated[float, Field(ge=0, le=1e9)]  #: of one event; sums of them stay exact


class Cpu(Section):
    """What each count costs, in cycles unless the name says otherwise; a preset of `conf/cpu` with its source.

    ``memory_overlap`` is the share of a data access's latency beyond the L1 that out-of-order execution hides;
    of walks' it hides ``walk_hidden``; ``walk_overlap`` is the share of walks that another could go on beside, where there are
    ``walkers``.
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
    memory_overlap: float = Field(0.0, ge=0, le=1)
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
    walkers: int = Field(1, ge=1, le=64)
    walk_overlap: float = Field(0.0, ge=0, le=1)
    walk_hidden: float = Field(0.0, ge=0, le=1)
    minor_fault: Cycles
    major_fault: Cycles
