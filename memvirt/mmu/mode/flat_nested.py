"""Nested paging over a flat host table: one array of entries, indexed by guest frame, in place of the host's tree.

Ahn, Jin and Huh, ISCA'12: (4 + 1)(1 + 1) - 1 = 9 references. An entry of the array stands where the radix table's lowest entry
would, so neighbours share lines as they would there. Left out: their speculative walk of inverted shadow tables, and what the
array costs in memory where a VM's memory is sparse.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from memvirt.mmu.mode import Setup, on_event, walk
from memvirt.mmu.port import Port
from memvirt.mmu.pwc import LOWEST_ONLY, Pwc, make_pwc
from memvirt.mmu.two_dimensional import serve_walk, take_event
from memvirt.types import Traits
from memvirt.typing import Int

TRAITS = Traits(host_unmap="vm")


class State(NamedTuple):
    """The walk caches; of the host's entries, only the flat table's are read."""

    pwc: Pwc


def make(setup: Setup) -> State:
    """State at the start."""
    return State(make_pwc(setup, host=LOWEST_ONLY))


@walk.register
def _walk(state: State, port: Port, page: Int) -> None:
    serve_walk(state.pwc, port, page)


@on_event.register
def _on_event(state: State, port: Port, event: Any, page: Int) -> None:
    take_event(state, state.pwc, port, event, page)
