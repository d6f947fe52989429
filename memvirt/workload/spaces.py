"""Switches between the address spaces that a trace was recorded with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memvirt.types import CHUNK, GUEST_EVENT, GuestEvent
from memvirt.workload.source import Source


def _changes(source: Source) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    """First access of each stretch within one address space, once through, and the space."""
    assert source.asid is not None
    places, spaces, last = [], [], -1
    for first in range(0, source.length, CHUNK):
        space = source.asid[source.read(first, min(first + CHUNK, source.length)).page]
        new = np.flatnonzero(np.diff(space.astype(np.int64), prepend=last))
        places.append(first + new)
        spaces.append(space[new])
        last = int(space[-1])
    return np.concatenate(places), np.concatenate(spaces)


def own_switches(source: Source, accesses: int, offset: int) -> NDArray[np.void]:
    """Switches of a VM that begins at ``offset`` in a trace of several processes, and goes round it; it starts in space 0.

    Parameters
    ----------
    source : Source
    accesses, offset : int

    Returns
    -------
    (e,) GUEST_EVENT
    """
    if source.spaces == 1:
        return np.zeros(0, GUEST_EVENT)
    place, space = _changes(source)
    rounds = -(-(offset + accesses) // source.length)
    at = (place[None, :] + (np.arange(rounds) * source.length)[:, None]).ravel() - offset
    spaces = np.tile(space, rounds)
    first = max(int(np.searchsorted(at, 0, side="right")) - 1, 0)  # the stretch in which it begins
    at, spaces = np.maximum(at[first:], 0), spaces[first:]
    kept = (at < accesses) & (np.diff(spaces.astype(np.int64), prepend=0) != 0)
    table = np.zeros(int(kept.sum()), GUEST_EVENT)
    table["kind"], table["at"], table["asid"] = GuestEvent.SWITCH, at[kept], spaces[kept]
    return table
