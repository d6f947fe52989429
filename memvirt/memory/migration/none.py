"""Data stay where they were put."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.memory.migration import Host, is_hinted, scan_pages, take_hint
from memvirt.memory.state import Now, World
from memvirt.typing import Int


class State(NamedTuple):
    """Nothing to remember."""

    unused: NDArray[np.int64]


def make(host: Host) -> State:
    """State of the policy."""
    return State(np.zeros(1, np.int64))


@scan_pages.register
def _scan_pages(state: State, world: World, now: Now) -> float:
    return np.inf


@is_hinted.register
def _is_hinted(state: State, frame: Int) -> bool:
    return False


@take_hint.register
def _take_hint(state: State, world: World, now: Now, page: Int, frame: Int) -> float:
    return 0.0
