"""NUMA balancing: who used which page last, and what a hint fault comes to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.by_address import by_address
from memvirt.jit import inner, inner_apart
from memvirt.memory.frames import node_of_toucher
from memvirt.memory.log import log_backing, log_cow_fault, log_moved, log_table_write
from memvirt.memory.migration import Host
from memvirt.memory.migration._frames import can_move, is_table, move_unit, node_of, pages_in
from memvirt.memory.state import NOTHING, ZERO, Now, World
from memvirt.memory.topology import MOST_NODES
from memvirt.types import HOST_MAP
from memvirt.typing import Int

# What `Balance.rule` holds.
IN_HOST, SCAN, LEAST_NS, MOST_NS, DELAY_NS, FLOOR_NS, UNTIL_NS, RATE = range(8)
# What `Balance.seen` holds of a VM's round: pages that faulted, by where they were; that found no room; by how many vCPUs use them.
REMOTE, LOCAL, FAILED, SHARED, PRIVATE = range(5)
EARLY = 4  #: rounds in which a page that one vCPU alone used moves at once
FRACTION = 3  #: a node whose CPUs fault so many times more often than another's has what that one holds (ACTIVE_NODE_FRACTION)
WINDOW_NS = 100e6  #: over which the rate limit is kept (migrate_interval_millisecs)
NODES = MOST_NODES  #: in what `Balance.last` packs
OF_DATA, OF_GUEST_TABLES, OF_HOST_TABLES = range(3)


@by_address
class Balance(NamedTuple):
    """What NUMA balancing knows.

    Attributes
    ----------
    rule : (8,) float64
        Whether it is the host that balances; pages of a scan; the least and most of a round, the delay before the first scan (ns);
        the least time between two scans (ns); when it is turned off (ns); pages a ns that may move to a node.
    due, period_ns : (vms,) float64
        When each VM is scanned next (ns), and the time between its scans, 0 before the first.
    place, rounds, done : (vms,) int64
        Where the next scan of each VM goes on, within its frames or pages; rounds over them all; accesses when it was last scanned.
    seen : (vms, 5) int64
    by_cpu, by_memory : (vms, nodes) int64
        Faults by the node of the CPU, and of the page; those of a round ago count half.
    hinted : (frames,) uint8
        Guest frames that are inaccessible.
    last : (frames,) int64
        Who faulted last, at the first frame of a host page: vCPU plus one, times `NODES`, plus its node; 0 for nobody.
    moved : (nodes, 2) float64
        When each node's present window of the rate limit began (ns), and pages that it got since.
    votes : (levels, nodes) int64
        Room for counting a table's children.
    """

    rule: NDArray[np.float64]
    due: NDArray[np.float64]
    period_ns: NDArray[np.float64]
    place: NDArray[np.int64]
    rounds: NDArray[np.int64]
    done: NDArray[np.int64]
    seen: NDArray[np.int64]
    by_cpu: NDArray[np.int64]
    by_memory: NDArray[np.int64]
    hinted: NDArray[np.uint8]
    last: NDArray[np.int64]
    moved: NDArray[np.float64]
    votes: NDArray[np.int64]


def make_balance(host: Host, in_host: bool, scan: int, times: tuple[float, float, float, float, float], rate: float) -> Balance:
    """Nothing scanned yet."""
    vms, nodes = host.vms, host.nodes
    return Balance(
        rule=np.array([in_host, scan, *times, rate]),
        due=np.full(vms, times[2]),
        period_ns=np.zeros(vms),
        place=np.zeros(vms, np.int64),
        rounds=np.zeros(vms, np.int64),
        done=np.zeros(vms, np.int64),
        seen=np.zeros((vms, 5), np.int64),
        by_cpu=np.zeros((vms, nodes), np.int64),
        by_memory=np.zeros((vms, nodes), np.int64),
        hinted=np.zeros(host.frames, np.uint8),
        last=np.zeros(host.frames, np.int64),
        moved=np.zeros((nodes, 2)),
        votes=np.zeros((5, nodes), np.int64),
    )


@inner
def first_frame(world: World, frame: Int) -> Int:
    """First guest frame of a host page."""
    order = np.int64(world.frames[frame].order)
    return np.int64(frame >> order << order)


@inner_apart
def should_move(state: Balance, vm: Int, before: Int, number: Int, source: Int, node: Int) -> bool:
    """Whether a page goes to the node of the CPU that faults on it (`should_numa_migrate_memory`); ``before``: who did last."""
    private = before // NODES == number + 1
    if state.rounds[vm] <= EARLY and (before == 0 or private):
        return True
    if before > 0 and before % NODES != node:
        return False
    if private or before == 0:
        return True
    cpu, memory = state.by_cpu[vm], state.by_memory[vm]
    if cpu[node] > cpu[source] * FRACTION:
        return True
    return cpu[node] * memory[source] * 3 > cpu[source] * memory[node] * 4  # type: ignore[no-any-return]


@inner_apart
def may_move(state: Balance, now: Now, node: Int, pages: Int) -> bool:
    """Whether the rate limit lets so many pages move to a node now."""
    if state.rule[RATE] == np.inf:
        return True
    window = state.moved[node]
    if now.time_ns - window[0] > WINDOW_NS:
        window[0], window[1] = now.time_ns, 0.0
    if window[1] + pages > state.rule[RATE] * WINDOW_NS:
        return False
    window[1] += pages
    return True


@inner_apart
def judge(state: Balance, world: World, now: Now, unit: Int, number: Int) -> float:
    """Take note of a hint fault on a host page, and move it if it should; returns what moving takes (ns)."""
    counts, order = world.counts[now.vm, now.epoch], np.int64(world.frames[unit].order)
    size, source = np.int64(1) << order, node_of(world, unit)
    node = np.int64(now.node) if state.rule[IN_HOST] else np.int64(node_of_toucher(world, now))
    for part in range(unit, unit + size):
        state.hinted[part] = 0
    before = np.int64(state.last[unit])
    state.last[unit] = (number + 1) * NODES + node
    private = before == 0 or before // NODES == number + 1
    counts.hint_faults += 1
    seen, home, took = state.seen[now.vm], source, 0.0
    if source == node:
        counts.hint_faults_local += 1
    elif should_move(state, np.int64(now.vm), before, number, source, node) and can_move(world, unit):
        if may_move(state, now, node, size):
            if move_unit(world, now, unit, node):
                counts.migrated_pages[OF_GUEST_TABLES if is_table(world, unit) else OF_DATA] += pages_in(world, unit)
                took = world.rules[0].migrate_ns + world.rules[0].copy_ns * size
                counts.migration_ns += np.int64(took)
                home = node
            else:
                counts.migration_failures += size
                seen[FAILED] += size
    seen[LOCAL if source == node else REMOTE] += size
    seen[PRIVATE if private else SHARED] += size
    state.by_cpu[now.vm, node] += size
    state.by_memory[now.vm, home] += size
    return took  # type: ignore[no-any-return]


@inner_apart
def judge_tables(state: Balance, world: World, now: Now, page: Int, number: Int) -> float:
    """Serve the hint faults of the guest's tables on the way to a page."""
    mapped, took = world.pages[page], 0.0
    for level in range(world.guest_rows.shape[1] - 1, np.int64(mapped.order) // 9 - 1, -1):
        frame = np.int64(world.guest_tables[world.guest_rows[mapped.row, level]].frame)
        if state.hinted[frame]:
            unit = first_frame(world, frame)
            took += world.rules[0].minor_fault_ns + judge(state, world, now, unit, number)
            world.counts[now.vm, now.epoch].host_minor_faults += 1
            log_backing(
                world, now, HOST_MAP, NOTHING, unit, np.int64(world.frames[unit].hfn), ZERO, np.int64(world.frames[unit].order)
            )
    return took


@inner_apart
def serve_hint(state: Balance, world: World, now: Now, page: Int, frame: Int) -> float:
    """Serve the hint fault of an access to a page; returns the time that it takes (ns)."""
    number, counts = np.int64(world.cpus[now.cpu].current), world.counts[now.vm, now.epoch]
    unit, took = first_frame(world, frame), np.float64(world.rules[0].minor_fault_ns)
    order, hfn = np.int64(world.frames[unit].order), np.int64(world.frames[unit].hfn)
    if state.rule[IN_HOST]:
        took += judge_tables(state, world, now, page, number) + judge(state, world, now, unit, number)
        counts.host_minor_faults += 1
        log_backing(world, now, HOST_MAP, page, unit, np.int64(world.frames[unit].hfn), ZERO, order)
        return took  # type: ignore[no-any-return]
    took += judge(state, world, now, unit, number)
    counts.minor_faults += 1
    log_cow_fault(world, now, page, frame, np.int64(world.pages[page].order))
    log_table_write(world, now, page, frame, ZERO, np.int64(world.pages[page].order))
    if world.frames[unit].hfn != hfn:
        log_moved(world, now, unit, np.int64(world.frames[unit].hfn), order, np.int64(now.vm))
    return took  # type: ignore[no-any-return]


@inner_apart
def adapt(state: Balance, world: World, vm: Int) -> None:
    """Set the time between a VM's scans anew at a round's end (`update_task_scan_period`).

    As there, a round that tells nothing leaves what was seen of places to the next: pages that found no room slow all that follow.
    """
    resident = np.int64(world.vms[vm].resident)
    windows = max(1.0, np.ceil(resident / state.rule[SCAN]))
    least = max(state.rule[FLOOR_NS], state.rule[LEAST_NS] / windows)
    most = max(least, state.rule[MOST_NS] / windows)
    seen, period = state.seen[vm], state.period_ns[vm]
    if period == 0.0:
        state.period_ns[vm] = least
        return
    slot = period / 10.0
    if seen[LOCAL] + seen[SHARED] == 0 or seen[FAILED] > 0:
        state.period_ns[vm] = min(most, 2.0 * period)
    else:
        local = 10 * seen[LOCAL] // (seen[LOCAL] + seen[REMOTE])
        private = 10 * seen[PRIVATE] // (seen[PRIVATE] + seen[SHARED])
        if private >= 7:
            period += max(private - 7, 1) * slot
        elif local >= 7:
            period += max(local - 7, 1) * slot
        else:
            period -= (7 - max(local, private)) * slot
        state.period_ns[vm] = min(max(period, least), most)
        seen[REMOTE] = seen[LOCAL] = seen[FAILED] = 0
    seen[SHARED] = seen[PRIVATE] = 0
    for node in range(state.by_cpu.shape[1]):
        state.by_cpu[vm, node] >>= 1
        state.by_memory[vm, node] >>= 1
