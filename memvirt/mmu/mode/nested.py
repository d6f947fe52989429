"""Nested paging (Intel EPT, AMD NPT): a walk in two dimensions, (Lg + 1)(Lh + 1) - 1 references.

Bhargava et al., ASPLOS'08; exits and invalidations as `memvirt.mmu.two_dimensional` says.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from memvirt.mmu.mode import Setup, on_event, walk
from memvirt.mmu.port import Port
from memvirt.mmu.pwc import Pwc, make_pwc
from memvirt.mmu.two_dimensional import serve_walk, take_event
from memvirt.types import Traits
from memvirt.typing import Int

TRAITS = Traits(host_unmap="vm")


class State(NamedTuple):
    """The walk caches of both dimensions."""

    pwc: Pwc


def make(setup: Setup) -> State:
    """State at the start."""
    return State(make_pwc(setup))


@walk.register
def _walk(state: State, port: Port, page: Int) -> None:
    serve_walk(state.pwc, port, page)


@on_event.register
def _on_event(state: State, port: Port, event: Any, page: Int) -> None:
    take_event(state, state.pwc, port, event, page)
