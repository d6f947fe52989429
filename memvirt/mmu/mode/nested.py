"""Nested paging (Intel EPT, AMD NPT): a walk in two dimensions, (Lg + 1)(Lh + 1) - 1 references.

Bhargava et al., ASPLOS'08. A guest's own faults and table writes need no exit; what the host must map does. The
host knows only the guest-physical address of what it takes away, so all of the VM's combined translations go
(INVEPT, single context: Intel SDM vol. 3, section 30.4.3).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from memvirt.mmu.mode import Setup, on_event, walk
from memvirt.mmu.port import EPT_VIOLATION, Port, begin_walk, end_walk, exit_to_host
from memvirt.mmu.pwc import Pwc, drop_spaces, flush_on_switch, make_pwc
from memvirt.mmu.radix import walk_both
from memvirt.types import NONE, Event, Traits

TRAITS = Traits(host_unmap="vm")
GUEST_MAP, HOST_MAP, SWAP_IN, EVICT, DROP = map(np.int64, (Event.GUEST_MAP, Event.HOST_MAP, Event.SWAP_IN, Event.EVICT, Event.DROP))
SWITCH, PREEMPT = np.int64(Event.SWITCH), np.int64(Event.PREEMPT)
FAULTED, SERVED, NONE_MISSING, NOT_REACHED, ONCE = np.int64(1), np.int64(0), np.int64(0), np.int64(-1), np.int64(1)


class State(NamedTuple):
    """The page-walk caches of both dimensions."""

    pwc: Pwc


def make(setup: Setup) -> State:
    """State at the start."""
    return State(make_pwc(setup.config.pwc, setup.schedule.cpus, not setup.pcid, not setup.vpid))


@walk.register
def _walk(state: State, port: Port, page: int) -> None:
    begun = begin_walk(port)
    walk_both(state.pwc, port, page, NONE_MISSING, NONE_MISSING)
    end_walk(port, begun, SERVED)


@on_event.register
def _on_event(state: State, port: Port, event: Any, page: int) -> None:
    kind = np.int64(event.kind)
    if kind == GUEST_MAP:
        begun = begin_walk(port)
        walk_both(state.pwc, port, page, np.int64(event.count), NOT_REACHED)
        end_walk(port, begun, FAULTED)
    elif kind == HOST_MAP or kind == SWAP_IN:
        if page != NONE:
            begun = begin_walk(port)
            walk_both(state.pwc, port, page, NONE_MISSING, np.int64(event.count))
            end_walk(port, begun, FAULTED)
        exit_to_host(port, EPT_VIOLATION, ONCE)
    elif kind == EVICT:
        drop_spaces(state.pwc, port.space_base[event.vm], port.space_base[event.vm + 1])
        host_space = port.space_base[-1] + event.vm
        drop_spaces(state.pwc, host_space, host_space + 1)
    elif kind == SWITCH or kind == PREEMPT:
        flush_on_switch(state.pwc, port, event)
    elif kind == DROP:
        space = port.space_of_page[page]
        drop_spaces(state.pwc, space, space + 1)
