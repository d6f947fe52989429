"""Native: one dimension, four or five levels (Intel SDM vol. 3, section 5.5). The VMs are processes of the host."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from memvirt.jit import inner_apart
from memvirt.mmu.mode import Setup, on_event, walk
from memvirt.mmu.port import Port, begin_walk, end_walk
from memvirt.mmu.pwc import Pwc, make_pwc
from memvirt.mmu.radix import walk_guest
from memvirt.mmu.two_dimensional import FAULTED, NONE_MISSING, SERVED, forget, is_fault
from memvirt.types import DROP, FLUSH, GUEST_MAP, MOVE, NONE, PREEMPT, SWITCH, Traits
from memvirt.typing import Int

TRAITS = Traits(dimensions=1)


class State(NamedTuple):
    """The page-walk caches."""

    pwc: Pwc


def make(setup: Setup) -> State:
    """State at the start."""
    return State(make_pwc(setup))


@inner_apart
def walk_one(pwc: Pwc, port: Port, page: Int, missing: Int, faulted: Int) -> None:
    """Walk in one dimension."""
    begun = begin_walk(port)
    walk_guest(pwc, port, page, missing)
    end_walk(port, begun, faulted)


@walk.register
def _walk(state: State, port: Port, page: Int) -> None:
    walk_one(state.pwc, port, page, NONE_MISSING, SERVED)


@on_event.register
def _on_event(state: State, port: Port, event: Any, page: Int) -> None:
    kind = np.int64(event.kind)
    if is_fault(kind):
        if page != NONE:
            walk_one(state.pwc, port, page, np.int64(event.count) if kind == GUEST_MAP else NONE_MISSING, FAULTED)
    elif kind == SWITCH or kind == PREEMPT or kind == FLUSH or kind == MOVE or kind == DROP:
        forget(state.pwc, port, event, page, kind)
