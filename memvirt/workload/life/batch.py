"""A batch job: phases, each of which works on other data and frees what the one before had filled.

Phases after Denning (CACM 1968 and later); their length and sizes are assumed: every three minutes a third of the pages is freed
and filled again, and the working set moves on by a quarter. Late work shifts what follows. Page cache is 15 %, as at Meta
the intermediate data of a data warehouse (Maruf et al., TPP, ASPLOS'23, section 3).
"""

from __future__ import annotations

from memvirt.workload.life.working_sets import OPTIONS as USUAL
from memvirt.workload.life.working_sets import check, make

__all__ = ["DETAIL", "OPTIONS", "check", "make"]

OPTIONS = {
    **USUAL,
    "touched": 0.9,
    "working_set": 0.45,
    "peak": 0.45,
    "alpha": 0.4,
    "written": 0.5,
    "cache": 0.15,
    "burst_every": 0.0,
    "phase": 180.0,
    "moves": 0.25,
    "scratch": 0.33,
    "busy": 0.9,
    "busy_peak": 0.9,
    "loop": "closed",
}
DETAIL = {"name": "zipf"}
