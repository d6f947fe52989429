"""A web server: most of its memory lies idle off-peak, and bursts take nearly all of it.

The article behind this project has one of 8 GB that uses 2 off-peak: it touches a quarter in ten minutes without bursts. These last
as long as `working_sets` has it (Overdriver, VEE'11); that they come seven minutes apart and use nine tenths in a minute, and how
busy it is (a fifth, in a burst four fifths), are assumed. So is its page cache, 15 %: the least that Meta's services have (Maruf et
al., TPP, ASPLOS'23, section 3: 85 % of a data warehouse's memory are programs' own).
"""

from __future__ import annotations

from memvirt.workload.life.working_sets import OPTIONS as USUAL
from memvirt.workload.life.working_sets import check, make

__all__ = ["DETAIL", "OPTIONS", "check", "make"]

OPTIONS = {
    **USUAL,
    "touched": 1.0,
    "working_set": 0.25,
    "window": 600.0,
    "peak": 0.9,
    "alpha": 0.8,
    "written": 0.2,
    "cache": 0.15,
    "burst_every": 420.0,
    "busy": 0.2,
    "busy_peak": 0.8,
}
DETAIL = {"name": "zipf"}
