"""An idle VM: it was used once and now only its system ticks.

In ten minutes it touches a twentieth of its memory: in idle periods of ten minutes and longer idle VMs need less than a tenth
(Bila et al., Jettison, EuroSys'12). Half of its memory was never touched (half of VMs leave half of their memory so: Li et al.,
Pond, ASPLOS'23). Its page cache, 15 % of what was touched, is assumed: the least that Meta's services have (Maruf et al., TPP,
ASPLOS'23, section 3).
"""

from __future__ import annotations

from memvirt.workload.life.working_sets import OPTIONS as USUAL
from memvirt.workload.life.working_sets import check, make

__all__ = ["DETAIL", "OPTIONS", "check", "make"]

OPTIONS = {
    **USUAL,
    "touched": 0.5,
    "working_set": 0.05,
    "peak": 0.05,
    "window": 600.0,
    "alpha": 0.8,
    "written": 0.2,
    "cache": 0.15,
    "burst_every": 0.0,
    "busy": 0.02,
    "busy_peak": 0.02,
}
DETAIL = {"name": "zipf"}
