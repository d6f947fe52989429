"""The merged order as later rooms read it: one stretch of it at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.types import Space, Trace


class Merged(NamedTuple):
    """A stretch of the merged order.

    Attributes
    ----------
    page : (n,) uint32
        Global page of each access.
    line : (n,) uint8
        As in `Accesses`.
    runs : (r,) RUN
        Clipped to the stretch, ``at`` relative to its start.
    """

    page: NDArray[np.uint32]
    line: NDArray[np.uint8]
    runs: NDArray[np.void]


def merged(traces: list[Trace], space: Space, runs: NDArray[np.void], first: int, last: int) -> Merged:
    """Gather accesses ``first`` to ``last`` of the merged order.

    Parameters
    ----------
    traces : list of Trace
        One a VM.
    space : Space
    runs : (r,) RUN
        The whole schedule.
    first, last : int
        Half-open range of the merged order.
    """
    low = int(np.searchsorted(runs["at"], first, side="right")) - 1
    high = int(np.searchsorted(runs["at"], last, side="left"))
    part = runs[low:high].copy()
    begin = np.maximum(part["at"].astype(np.int64), first)
    end = np.minimum(part["at"].astype(np.int64) + part["length"], last)
    part["start"] += (begin - part["at"].astype(np.int64)).astype(np.uint64)
    part["length"] = end - begin
    part["at"] = begin - first
    if len(part) == 1 and int(space.page_base[part["vm"][0]]) == 0:
        only = traces[int(part["vm"][0])].read(int(part["start"][0]), int(part["start"][0]) + int(part["length"][0]))
        return Merged(only.page, only.line, part)
    page = np.empty(last - first, np.uint32)
    line = np.empty(last - first, np.uint8)
    columns = zip(*(part[name].tolist() for name in ("at", "start", "length", "vm")), strict=True)
    for at, start, length, vm in columns:
        piece = traces[vm].read(start, start + length)
        np.add(piece.page, np.uint32(space.page_base[vm]), out=page[at : at + length])
        line[at : at + length] = piece.line
    page.setflags(write=False)  # as a single trace's are; numba tells the two apart
    line.setflags(write=False)
    return Merged(page, line, part)
