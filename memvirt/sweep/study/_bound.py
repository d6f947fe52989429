"""What no policy can pass without sharing: promised memory over what VMs use at the same time, from their page lives alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt import workload
from memvirt.pipeline.point import Point
from memvirt.pipeline.rooms import ROOMS
from memvirt.types import Trace

WINDOW = 60.0  #: seconds over which a working set is looked at (Denning, CACM 1968)


class Bound(NamedTuple):
    """Memory of a mix (bytes).

    Attributes
    ----------
    promised : float
    needed : float
        Touched by all VMs together in the minute in which that is most, warm-ups left out.
    """

    promised: float
    needed: float

    @property
    def ratio(self) -> float:
        """Promised memory over what is needed."""
        return self.promised / self.needed

    def __str__(self) -> str:
        promised, needed = self.promised / 2**30, self.needed / 2**30
        return (
            f"bound without sharing {self.ratio:.3g}: {promised:.4g} GiB promised, {needed:.4g} GiB touched in the busiest minute"
        )


def touched(trace: Trace, start: float, warmup: float = 0.0) -> NDArray[np.int64]:
    """Distinct pages that a page life touches in each `WINDOW`, one after the other from time 0 on.

    ``start``: when it begins (s); ``warmup``: before which its windows aren't counted.
    """
    begin, at = trace.steps["time"], [*trace.steps["at"].tolist(), trace.accesses]
    window = ((begin + start) // WINDOW).astype(np.int64)
    found = np.zeros(int(window.max(initial=0)) + 1, np.int64)
    for number in np.unique(window[begin >= warmup]):
        seen = np.zeros(trace.pages.vpn.size, bool)
        for step in np.flatnonzero((window == number) & (begin >= warmup)):
            seen[trace.read(at[step], at[step + 1]).page] = True
        found[number] = np.count_nonzero(seen)
    return found


def bound_of(point: Point) -> Bound | None:
    """The bound of a point's mix; None where its VMs have no page lives."""
    if not workload.is_life(point.member(0).workload):
        return None
    promised, windows = 0.0, np.zeros(0)
    room = ROOMS["workload"]
    for vm in range(point.count):
        member = point.member(vm)
        trace = room.run(room.config.make(point, (vm,)), [])["trace"]
        warmup = member.workload.warmup
        pages = touched(trace, member.vms.start / 1e9, warmup if warmup >= 1 else warmup * float(trace.steps["time"][-1]))
        size = max(pages.size, windows.size)
        windows = np.pad(windows, (0, size - windows.size)) + np.pad(pages, (0, size - pages.size))
        promised += member.vms.memory if member.vms.memory is not None else trace.pages.vpn.size * trace.scale * 4096
    return Bound(promised, float(windows.max()) * point.vms.scale * 4096)
