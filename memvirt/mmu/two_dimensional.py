"""What the modes share that walk the guest's radix tables and the host's behind them; each says which levels are read.

A guest's own faults and table writes need no exit; what the host must map does. The host knows only the guest-physical address
of what it takes away, so all of the VM's combined translations go (INVEPT, single context: Intel SDM vol. 3, section 30.4.3).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt.jit import inner, inner_apart
from memvirt.mmu.port import EPT_VIOLATION, Port, begin_walk, end_walk, exit_to_host
from memvirt.mmu.pwc import Pwc, drop_spaces, flush_on_switch, flush_spaces
from memvirt.mmu.radix import walk_both
from memvirt.policy import verb
from memvirt.types import DROP, FAULTS, FLUSH, GUEST_MAP, HOST_FAULTS, INVEPTS, MOVE, NONE, PREEMPT, SWITCH
from memvirt.typing import Int

FAULTED, SERVED, NONE_MISSING, NOT_REACHED, ONCE = np.int64(1), np.int64(0), np.int64(0), np.int64(-1), np.int64(1)


@inner_apart
def walk_two(pwc: Pwc, port: Port, page: Int, guest_missing: Int, data_missing: Int, faulted: Int) -> None:
    """Walk in both dimensions, as far as `memvirt.mmu.radix.walk_both` says."""
    begun = begin_walk(port)
    walk_both(pwc, port, page, guest_missing, data_missing)
    end_walk(port, begun, faulted)


@inner
def serve_walk(pwc: Pwc, port: Port, page: Int) -> None:
    """Walk for a page that is mapped and backed."""
    walk_two(pwc, port, page, NONE_MISSING, NONE_MISSING, SERVED)


@inner_apart
def forget(pwc: Pwc, port: Port, event: Any, page: Int, kind: Int) -> None:
    """Drop from the walk caches what an event makes invalid."""
    if INVEPTS >> kind & 1:
        drop_spaces(pwc, port.space_base[event.vm], port.space_base[event.vm + 1])
        host_space = port.space_base[-1] + event.vm
        drop_spaces(pwc, host_space, host_space + 1)
    elif kind == SWITCH or kind == PREEMPT:
        flush_on_switch(pwc, port, event)
    elif kind == FLUSH or kind == MOVE:
        flush_spaces(pwc, port, event)
    elif kind == DROP:
        space = port.space_of_page[page]
        drop_spaces(pwc, space, space + 1)


@inner
def fault_length(event: Any, kind: Int) -> Any:
    """Tables that the guest's dimension lacks, and the host's of the way to the data, at a fault."""
    if kind == GUEST_MAP:
        return np.int64(event.count), NOT_REACHED
    return NONE_MISSING, np.int64(event.count)


@inner
def is_fault(kind: Int) -> bool:
    """Whether an event is a fault that a walk runs into, if it names a page."""
    return FAULTS >> kind & 1 != 0  # type: ignore[no-any-return]


@verb
def walk_to_fault(state: Any, port: Port, page: Int, guest_missing: Int, data_missing: Int) -> None:
    """Walk until the fault that `walk_two`'s arguments say; by default as it does."""
    walk_two(state.pwc, port, page, guest_missing, data_missing, FAULTED)


@inner
def run_into(state: Any, port: Port, event: Any, page: Int) -> None:
    """Walk as far as a fault lets it, if it is the fault of a page."""
    if page != NONE:
        guest_missing, data_missing = fault_length(event, np.int64(event.kind))
        walk_to_fault(state, port, page, guest_missing, data_missing)


@inner
def take_event(state: Any, pwc: Pwc, port: Port, event: Any, page: Int) -> None:
    """Walk as far as a fault lets it, leave to the host where it must map something, forget what is no more."""
    kind = np.int64(event.kind)
    if is_fault(kind):
        run_into(state, port, event, page)
        if HOST_FAULTS >> kind & 1:
            exit_to_host(port, EPT_VIOLATION, ONCE)
    else:
        forget(pwc, port, event, page, kind)
