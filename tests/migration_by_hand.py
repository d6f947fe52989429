"""What `tests/test_migration.py` asks of single parts of NUMA balancing, which only kernels call: run with NUMBA_DISABLE_JIT=1."""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt import memory, workload
from memvirt.memory.layout import lay_out_frames, lay_out_pages
from memvirt.memory.migration import Host
from memvirt.memory.migration._balance import FAILED, LOCAL, NODES, PRIVATE, REMOTE, SHARED, adapt, should_move
from memvirt.memory.migration._frames import move_unit
from memvirt.memory.migration.autonuma import make
from memvirt.memory.setup import build
from memvirt.memory.state import Now
from memvirt.pipeline.rooms import ROOMS
from tests.support import point


def world_of(*words: str) -> Any:
    """A machine that is booted."""
    asked = point("workload=uniform", "workload.accesses=2000", "guest.prefault=all", "reclaim=none", "numa=two_socket", *words)
    config = memory.MemoryConfig.model_validate(ROOMS["memory"].config.make(asked, (0,)))
    traces = [workload.load(asked.member(0).workload, 0)]
    pages = lay_out_pages(config, traces)
    world = build(config, traces, pages, lay_out_frames(config, pages))
    memory._boot(world, config, traces)
    return world


def check_filter() -> None:
    """`should_numa_migrate_memory`, case by case: vCPU 0 of node 1 faults on a page of node 0."""
    state = make(Host(1, 2, 4, 2, 1.0)).balance
    me, other = 1 * NODES, 2 * NODES

    def asked(before: int) -> bool:
        return bool(should_move(state, 0, before, 0, 0, 1))

    assert asked(0) and asked(me) and asked(me + 1)  # early on, the first fault and one's own move
    assert not asked(other)  # another's, of the other node, never
    state.rounds[0] = 5
    assert not asked(me) and asked(me + 1)  # later two from one node in a row
    state.by_cpu[0], state.by_memory[0] = (10, 10), (10, 10)
    assert not asked(other + 1)  # a shared one where both nodes use memory alike,
    state.by_cpu[0] = (3, 10)
    assert asked(other + 1)  # unless the node's CPUs fault three times as often
    state.by_cpu[0], state.by_memory[0] = (10, 10), (20, 10)
    assert asked(other + 1)  # or hold less than their part by a quarter
    print("filter")


def check_period() -> None:
    """`update_task_scan_period`, case by case, of a VM of two scans: 500 ms to 30 s from one to the next."""
    world = world_of("workload.footprint=2MiB")
    state = make(Host(1, 2, 4, 2, 1.0), scan_size="1MiB").balance
    state.rule[5] = 0.0  # not the least of 2,560 MB a second

    def after(period: float, **seen: int) -> float:
        names = {"local": LOCAL, "remote": REMOTE, "private": PRIVATE, "shared": SHARED, "failed": FAILED}
        state.period_ns[0], state.seen[0] = period, 0
        for name, count in seen.items():
            state.seen[0, names[name]] = count
        adapt(state, world, 0)
        return float(state.period_ns[0])

    assert world.vms[0].resident == 512
    assert after(0.0) == 500e6  # the first
    assert after(1e9) == 2e9  # nobody faulted
    assert after(1e9, remote=9, private=9) == 2e9  # all private and remote counts as that, too
    assert after(1e9, local=5, remote=5, private=5, shared=5, failed=1) == 2e9
    assert after(1e9, local=10, private=10) == 1.3e9  # three slots above seven
    assert after(1e9, local=7, remote=3, private=7, shared=3) == 1.1e9  # one at the least
    assert after(1e9, local=8, remote=2, private=3, shared=7) == 1.1e9
    assert after(1e9, local=2, remote=8, private=3, shared=7) == 0.6e9  # four below
    assert after(500e6, local=2, remote=8, private=3, shared=7) == 500e6
    assert after(20e9) == 30e9
    print("period")


def check_there_and_back() -> None:
    """Every page goes to the other node and comes back: the machine is what it was, frame by frame, node by node."""
    for words in (("mmu=native",), ("mmu=nested",), ("mmu=nested", "guest.page_size=2M", "host.page_size=2M")):
        world = world_of("workload.footprint=4MiB", *words)
        now = Now(0, 0, 0, 0, 0, 0, 0, 0.0)
        before, free = world.frames.hfn.copy(), world.nodes.free.copy()
        heads = [
            frame
            for frame in np.flatnonzero(before >= 0)
            if frame == frame >> world.frames[frame].order << world.frames[frame].order
        ]
        data = [int(frame) for frame in heads if world.frames[frame].role != 4]
        for node in (1, 0):
            for unit in data if node else reversed(data):
                assert move_unit(world, now, unit, node)
            moved = sum(1 << int(world.frames[unit].order) for unit in data)
            assert (world.nodes.free - free).tolist() == ([moved, -moved] if node else [0, 0])
            assert {int(world.host_frames[world.frames[unit].hfn].node) for unit in data} == {node}
            backed = world.frames.hfn[world.frames.hfn >= 0]
            assert np.unique(backed).size == backed.size
        assert (world.frames.hfn == before).all()
        assert (world.host_frames.owner[world.frames.hfn[data]] == data).all()
    print("there and back")


if __name__ == "__main__":
    check_filter()
    check_period()
    check_there_and_back()
