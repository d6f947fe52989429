"""Linux's automatic NUMA balancing (kernel/sched/fair.c): hint faults tell who uses a page, and twice from one node moves it there.

A scan makes `scan_size` of a VM's memory inaccessible, one flush for all of it (`task_numa_work`). The next access to each page
faults; the page moves to the faulting CPU's node if the fault before was from that node as well (`should_numa_migrate_memory`),
or, in the first four rounds, if it is the first or by the same vCPU. When a round over all memory is over, the time between scans
adapts (`update_task_scan_period`): longer where nothing failed to be local or pages are one vCPU's, shorter else. `period_min` and
`period_max` are of a whole round (`task_scan_min`, `task_scan_max`): a VM of n times 256 MB is scanned n times as often, not more
than 2,560 MB a second.

In the host (`where`) it goes over what the host backs of a VM, page tables of its guest as well: their hint faults are taken with
that of the next page below them. In the guest it goes over the guest's pages, natively over a process's. Page tables that are
`migrated` (`numa.guest_tables`, `numa.host_tables`) move at the end of a round to the node of most of their children, as vMitosis
(ASPLOS'21) has it.

One task stands for all of a VM's: it has one period, and its vCPUs are one group. A VM that did nothing since the last scan isn't
scanned. Tasks aren't moved to memory here: that is `numa.scheduler`'s. What is merged isn't moved.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from memvirt.counters import Counter
from memvirt.errors import ConfigError
from memvirt.memory.migration import Host, is_hinted, scan_pages, take_hint
from memvirt.memory.migration._balance import SCAN, Balance, make_balance, serve_hint
from memvirt.memory.migration._scan import scan_due
from memvirt.memory.options import a_scale, a_size, a_time
from memvirt.memory.state import Now, World
from memvirt.typing import Int

WHERE = ("host", "guest")
PAGE = 4096
MOST_A_SECOND = 2560 << 20  #: bytes that are scanned (MAX_SCAN_WINDOW)
MOVED = ("data", "guest_tables", "host_tables")
COUNTERS = (
    Counter("numa_scans", "scans", doc="of a VM's memory by NUMA balancing"),
    Counter("hint_entries", "entries", doc="that these made inaccessible, a larger page's being one"),
    Counter(
        "hint_faults", "faults", doc="of the accesses that followed; also among `minor_faults` or, in the host, `host_minor_faults`"
    ),
    Counter("hint_faults_local", "faults", doc="those whose page was on the CPU's own node"),
    Counter(
        "migrated_pages_{}",
        "pages",
        doc="moved to another node: data at a hint fault, tables too or after their children",
        over=MOVED,
    ),
    Counter("migration_failures", "pages", doc="that were to move and found no room there"),
    Counter("migration_ns", "ns", doc="time that moving pages took, hint faults not included"),
)


class State(NamedTuple):
    """What it knows."""

    balance: Balance


def make(
    host: Host,
    where: str = "host",
    scan_size: Any = "256MiB",
    period_min: Any = "1s",
    period_max: Any = "60s",
    delay: Any = "1s",
    until: Any = None,
    rate_limit: Any = None,
    scale: Any = None,
) -> State:
    """State of the policy.

    Raises
    ------
    ConfigError
    """
    key = "numa.migration"
    if where not in WHERE:
        raise ConfigError(f"{key}.where", where, "is none of its values", WHERE)
    least, most = (a_time(f"{key}.{name}", value) for name, value in (("period_min", period_min), ("period_max", period_max)))
    if most < least:
        raise ConfigError(f"{key}.period_max", str(period_max), f"is less than period_min, {period_min}")
    times = np.array([least, most, a_time(f"{key}.delay", delay)]) / host.speedup
    size, smaller = a_size(f"{key}.scan_size", scan_size), a_scale(f"{key}.scale", scale)
    rate = np.inf if rate_limit is None else a_size(f"{key}.rate_limit", rate_limit) * host.speedup / 1e9 / PAGE / smaller
    floor = size / MOST_A_SECOND * 1e9 / host.speedup
    in_host = host.dimensions == 2 and where == "host"
    off = np.inf if until is None else a_time(f"{key}.until", until) / host.speedup
    return State(make_balance(host, in_host, max(1, round(size / PAGE / smaller)), (*times, floor, off), rate))


def most_events(state: State, tables: int) -> int:
    """Events that a step can write at the most."""
    return 2 + 2 * int(state.balance.rule[SCAN]) + tables


@scan_pages.register
def _scan_pages(state: State, world: World, now: Now) -> float:
    return scan_due(state.balance, world, now)  # type: ignore[no-any-return]


@is_hinted.register
def _is_hinted(state: State, frame: Int) -> bool:
    return state.balance.hinted[frame] != 0  # type: ignore[no-any-return]


@take_hint.register
def _take_hint(state: State, world: World, now: Now, page: Int, frame: Int) -> float:
    return serve_hint(state.balance, world, now, page, frame)  # type: ignore[no-any-return]
