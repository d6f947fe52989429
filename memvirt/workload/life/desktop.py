"""A desktop: its user thinks, then works for a while; what is open was touched once.

Where nobody works it touches 6 % of its memory in ten minutes: idle desktops need less than a tenth in idle periods of ten minutes
and longer (Bila et al., Jettison, EuroSys'12). Spells of work, of 57 s on average and four minutes apart, use four tenths in a
minute (assumed). So is its page cache, 15 %: the least that Meta's services have (Maruf et al., TPP, ASPLOS'23, section 3).
"""

from __future__ import annotations

from memvirt.workload.life.working_sets import OPTIONS as USUAL
from memvirt.workload.life.working_sets import check, make

__all__ = ["DETAIL", "OPTIONS", "check", "make"]

OPTIONS = {
    **USUAL,
    "touched": 0.7,
    "working_set": 0.06,
    "window": 600.0,
    "peak": 0.4,
    "alpha": 0.8,
    "written": 0.3,
    "cache": 0.15,
    "burst_every": 240.0,
    "busy": 0.05,
    "busy_peak": 0.5,
}
DETAIL = {"name": "zipf"}
