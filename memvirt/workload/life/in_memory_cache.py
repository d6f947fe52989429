"""A cache in memory: all of it is filled, keys are asked for by Zipf's law, writes are many.

Exponent and writes after Yang et al., OSDI'20, who find exponents about 1 and above in most of a site's caches and more than 30 %
of writes in a third of them. The working set (half in a minute) is assumed.
"""

from __future__ import annotations

from memvirt.workload.life.working_sets import OPTIONS as USUAL
from memvirt.workload.life.working_sets import check, make

__all__ = ["DETAIL", "OPTIONS", "check", "make"]

OPTIONS = {
    **USUAL,
    "touched": 0.95,
    "working_set": 0.5,
    "peak": 0.6,
    "alpha": 1.0,
    "written": 0.4,
    "burst_every": 300.0,
    "busy": 0.3,
    "busy_peak": 0.6,
}
DETAIL = {"name": "zipf"}
