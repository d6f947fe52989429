"""A database: a buffer pool that takes most of its memory, used by Zipf's law with little change.

Its exponent is YCSB's 0.99 (Cooper et al., SoCC'10). That a minute touches six tenths, a busy spell seven, and that a third of
the pages is written are assumed. Of the nine tenths of its memory that are ever touched the buffer pool is eight, as MySQL's manual
has it for a server of its own (`innodb_buffer_pool_size`); the rest, a ninth of them, is page cache.
"""

from __future__ import annotations

from memvirt.workload.life.working_sets import OPTIONS as USUAL
from memvirt.workload.life.working_sets import check, make

__all__ = ["DETAIL", "OPTIONS", "check", "make"]

OPTIONS = {
    **USUAL,
    "touched": 0.9,
    "working_set": 0.6,
    "peak": 0.7,
    "alpha": 0.99,
    "written": 0.33,
    "cache": 0.11,
    "burst_every": 300.0,
    "busy": 0.4,
    "busy_peak": 0.7,
}
DETAIL = {"name": "sqlite"}
