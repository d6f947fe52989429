"""Translation modes: one file each, with its traits and two verbs.

A mode's file has ``TRAITS`` (`memvirt.types.Traits`), or ``traits(options) -> Traits`` where they depend on its options,
``class State(NamedTuple)``, ``make(setup) -> State``, in ``OPTIONS`` the defaults (or choices) of options in its YAML file, in
``LIMITS`` the least and most of those that can't be any number, in ``FAULT_EXITS``, by reason, how many exits a fault of the guest
takes and how many one of the host's, unless that is a violation for each of the host's, and, if it keeps tables of its own,
``frames(setup) -> int``: host frames that they may take, from `Port.spare` on. The loop calls `on_event` for each event before it
changes the machine, and `walk` for each access that missed the TLBs, after its faults are served.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from memvirt.mmu.config import Mmu
from memvirt.mmu.port import Port
from memvirt.policy import verb
from memvirt.types import Frames, Schedule, Space
from memvirt.typing import Int

FAMILY = "mmu.mode"


class Setup(NamedTuple):
    """What a mode is made from; ``port`` shows the machine before access 0, ``pcid`` and ``vpid`` say what is tagged."""

    config: Mmu
    space: Space
    schedule: Schedule
    frames: Frames
    port: Port
    pcid: bool = True
    vpid: bool = True

    def option(self, name: str) -> Any:
        """Value of an option of the mode's own: what the config says, or its default."""
        from memvirt.policy import load

        known = load(FAMILY, self.config.name, "mmu").OPTIONS[name]
        return self.config.options.get(name, known[0] if isinstance(known, tuple) else known)


@verb
def walk(state: Any, port: Port, page: Int) -> None:
    """Walk for a page that the machine has mapped and backed, with any fault of the mode's own on the way."""
    raise NotImplementedError(type(state))


@verb
def on_event(state: Any, port: Port, event: Any, page: Int) -> None:
    """Take notice of an `Event`: walk as far as a fault lets it, leave to the host, forget what is no more.

    ``page`` is ``event.page``, a global page (or `memvirt.types.NONE`).
    """
    raise NotImplementedError(type(state))
