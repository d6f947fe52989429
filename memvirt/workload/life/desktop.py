"""A desktop: its user thinks, then works for a while; what is open was touched once.

Idle desktops use less than a tenth of their memory (Bila et al., Jettison, EuroSys'12). Spells of work, of 57 s on average and
four minutes apart, use four tenths (assumed).
"""

from __future__ import annotations

from memvirt.workload.life.working_sets import OPTIONS as USUAL
from memvirt.workload.life.working_sets import check, make

__all__ = ["DETAIL", "OPTIONS", "check", "make"]

OPTIONS = {
    **USUAL,
    "touched": 0.7,
    "working_set": 0.06,
    "peak": 0.4,
    "alpha": 0.8,
    "written": 0.3,
    "burst_every": 240.0,
    "busy": 0.05,
    "busy_peak": 0.5,
}
DETAIL = {"name": "zipf"}
