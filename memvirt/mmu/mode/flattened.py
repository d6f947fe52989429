"""Flattened page tables: two levels folded into one table of 2 MiB, so that a walk reads two entries a dimension.

Park, Vougioukas, Sandberg and Black-Schaffer, ASPLOS'22: the root and the level below it are one node, and so are the two lowest;
2 references natively, (2 + 1)(2 + 1) - 1 = 8 under virtualization. `flatten` says in which dimension. The root of five levels
stays alone. Where 2M pages are, the two lowest levels stay apart, so that their entry stands there once and not 512 times. An entry
of a node stands where the lower of the two levels has it. The walk caches of levels that are no more give their entries to the one
that holds the root node's, which is fully associative then. Left out: the caches' preference for lines of page tables, and the
fall-back to plain tables where no 2 MiB are contiguous.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from memvirt.mmu.config import PwcArray, PwcSizes
from memvirt.mmu.mode import Setup, on_event, walk
from memvirt.mmu.port import Port
from memvirt.mmu.pwc import EVERY_LEVEL, Pwc, make_pwc
from memvirt.mmu.two_dimensional import serve_walk, take_event
from memvirt.types import Traits
from memvirt.typing import Int

OPTIONS = {"flatten": ("both", "guest", "host")}
TRAITS = Traits(host_unmap="vm")
FOLDED = 0b10100  #: entries of level 2 (root node) and of a fifth level are read, those of levels 3 and 1 aren't


class State(NamedTuple):
    """The walk caches of both dimensions."""

    pwc: Pwc


def folded(sizes: PwcSizes) -> PwcSizes:
    """Walk caches of a folded dimension: as many entries as there were, in the levels that are left."""
    none = PwcArray(entries=0)
    entries = sizes.pml4e.entries + sizes.pdpte.entries + sizes.pde.entries
    return sizes.model_copy(update={"pml4e": none, "pdpte": PwcArray(entries=entries), "pde": none})


def make(setup: Setup) -> State:
    """State at the start."""
    flatten, pwc = setup.option("flatten"), setup.config.pwc
    dimensions = [name for name in ("guest", "host") if flatten in ("both", name)]
    pwc = pwc.model_copy(update={name: folded(getattr(pwc, name)) for name in dimensions})
    guest, host = (FOLDED if name in dimensions else EVERY_LEVEL for name in ("guest", "host"))
    return State(make_pwc(setup._replace(config=setup.config.model_copy(update={"pwc": pwc})), guest=guest, host=host))


@walk.register
def _walk(state: State, port: Port, page: Int) -> None:
    serve_walk(state.pwc, port, page)


@on_event.register
def _on_event(state: State, port: Port, event: Any, page: Int) -> None:
    take_event(state, state.pwc, port, event, page)
