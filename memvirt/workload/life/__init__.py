"""Page lives: what a VM does with its pages over minutes, one file each.

A life goes in *steps*, as coarse as an accessed bit is ever read. A visit to a page in a step stands for all accesses to it
there, and for its share of the CPU time. A file has ``OPTIONS``, the defaults of its own keys; ``DETAIL``, the access-level
workload that stands for what its CPU does unless `workload.detail` says; and ``make(asked, **options)``, which returns a `Life`.
It may have, besides, ``READS_FILE``, which checks the file that `workload.path` names; and ``check(**options)``, which refuses
values of its keys.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

FAMILY = "workload.life"
LOOPS = ("open", "closed")
REGION = 512  #: base pages of a region, of which all or none are sampled

#: Visits of a step: so many, spread evenly over a run of pages, the first ``written`` of which are written.
EXTENT = np.dtype([("step", "<i8"), ("first", "<i8"), ("pages", "<i8"), ("written", "<i8"), ("visits", "<i8")])
FILES = np.dtype([("first", "<i8"), ("pages", "<i8")])  #: pages of files, which are the page cache while they are in memory
FREED = np.dtype([("step", "<i8"), ("first", "<i8"), ("pages", "<i8")])  #: pages that are freed when a step begins

NO_FILES = np.zeros(0, FILES)


class Asked(NamedTuple):
    """What the common keys say of a life.

    Attributes
    ----------
    pages : int
        Of `workload.footprint`.
    seed, vm, vcpus : int
    path : str, optional
    """

    pages: int
    seed: int
    vm: int
    vcpus: int
    path: str | None


class Life(NamedTuple):
    """What one VM does with its pages.

    Attributes
    ----------
    pages : int
        Page numbers that it has, from 0.
    times : (steps + 1,) float64
        When each step begins, and the last one ends (s).
    busy : (steps,) float64
        vCPUs that are busy in each step.
    extents : (n,) EXTENT
        Ascending in ``step``.
    freed : (m,) FREED
        The same.
    loop : {'open', 'closed'}
        Whether work that comes late is caught up with (arrivals keep their time), or all that follows comes later.
    files : (f,) FILES
        Runs of pages that are files', ascending, none over another; all others are programs' own.
    """

    pages: int
    times: NDArray[np.float64]
    busy: NDArray[np.float64]
    extents: NDArray[np.void]
    freed: NDArray[np.void]
    loop: Literal["open", "closed"] = "open"
    files: NDArray[np.void] = NO_FILES
