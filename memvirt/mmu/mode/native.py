"""Native: one dimension, four or five levels (Intel SDM vol. 3, section 5.5). The VMs are processes of the host."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from memvirt.mmu.mode import Setup, on_event, walk
from memvirt.mmu.port import Port, begin_walk, end_walk
from memvirt.mmu.pwc import Pwc, drop_spaces, flush_on_switch, make_pwc
from memvirt.mmu.radix import walk_guest
from memvirt.types import NONE, Event, Traits

TRAITS = Traits(dimensions=1)
GUEST_MAP, HOST_MAP, SWAP_IN, DROP = map(np.int64, (Event.GUEST_MAP, Event.HOST_MAP, Event.SWAP_IN, Event.DROP))
SWITCH, PREEMPT = np.int64(Event.SWITCH), np.int64(Event.PREEMPT)
FAULTED, SERVED, NONE_MISSING = np.int64(1), np.int64(0), np.int64(0)


class State(NamedTuple):
    """The page-walk caches."""

    pwc: Pwc


def make(setup: Setup) -> State:
    """State at the start."""
    return State(make_pwc(setup.config.pwc, setup.schedule.cpus, not setup.pcid, not setup.vpid))


@walk.register
def _walk(state: State, port: Port, page: int) -> None:
    begun = begin_walk(port)
    walk_guest(state.pwc, port, page, NONE_MISSING)
    end_walk(port, begun, SERVED)


@on_event.register
def _on_event(state: State, port: Port, event: Any, page: int) -> None:
    kind = np.int64(event.kind)
    if kind == GUEST_MAP or (page != NONE and (kind == SWAP_IN or kind == HOST_MAP)):
        begun = begin_walk(port)
        walk_guest(state.pwc, port, page, np.int64(event.count) if kind == GUEST_MAP else NONE_MISSING)
        end_walk(port, begun, FAULTED)
    elif kind == SWITCH or kind == PREEMPT:
        flush_on_switch(state.pwc, port, event)
    elif kind == DROP:
        space = port.space_of_page[page]
        drop_spaces(state.pwc, space, space + 1)
