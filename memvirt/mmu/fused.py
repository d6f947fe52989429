"""TLB and MMU as one: for modes whose flushes depend on what walks find, and for TLB entries that depend on where frames are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner, kernel
from memvirt.memory.merge import merged
from memvirt.memory.placement._turns import Turns
from memvirt.mmu import Cache, Mmu, MmuOut, finish, start, traits
from memvirt.mmu.loop import access_data, happen, walk_access
from memvirt.mmu.port import AT, CPU, VM, Port, enter
from memvirt.tlb import Tlb, build, counted
from memvirt.tlb.general import HIT, MISS, fill_both, look_up_one
from memvirt.tlb.hierarchy import COALESCES, Hierarchy, count_policies, flush_range, obey
from memvirt.types import CHUNK, NONE, SHOOTDOWNS, Counters, Mapped, Trace
from memvirt.typing import Int

FIRST_CPU = np.int64(0)


@inner
def obey_mode(tlbs: Hierarchy, port: Port, counts: Any) -> None:
    """Carry out a flush that a mode asks for."""
    if port.flush[0]:
        flush_range(tlbs, FIRST_CPU, np.int64(tlbs.others.shape[1]), port.flush[1], port.flush[2])
        port.flush[0] = 0
        counts.tlb_flushes += 1
        counts.tlb_ipis += tlbs.others[port.context[VM], port.context[CPU]]


@inner
def neighbours(tlbs: Hierarchy, port: Port, page: Int) -> Int:
    """Which pages of a 4K page's group have frames that run on from its own, a bit each."""
    entries = tlbs.entries
    covers = np.int64(tlbs.bit[page])
    if min(entries.guest_order[page], entries.host_order[page]) > 0:
        return covers
    tag = entries.tag[page, 0]
    for way in (-1, 1):
        other = page + way
        while 0 <= other < port.vpn.size and entries.tag[other, 0] == tag:
            near = other - way
            backed = port.hfn_of_page[other] != NONE and min(entries.guest_order[other], entries.host_order[other]) == 0
            if not backed or port.vpn[other] - port.vpn[near] != way:
                break
            if np.int64(port.hfn_of_page[other]) - np.int64(port.hfn_of_page[near]) != way:
                break
            covers |= np.int64(tlbs.bit[other])
            other += way
    return covers


@kernel
def run_stretch(
    tlbs: Hierarchy,
    state: Any,
    port: Port,
    counts: NDArray[np.int64],
    node_of_cpu: NDArray[np.uint8],
    pages: NDArray[np.uint32],
    lines: NDArray[np.uint8],
    runs: Any,
    events: Any,
    next_event: Int,
    first: Int,
) -> Int:
    """Simulate one stretch of the merged order; returns the first event that lies beyond it.

    Parameters are as `memvirt.mmu.loop.walk_stretch` has them.
    """
    for run in runs:
        enter(port, run, np.int64(node_of_cpu[run.cpu]))
        mine, cpu = tlbs.counts[run.vm, run.epoch], np.int64(run.cpu)
        begin, end = np.int64(run.at), np.int64(run.at) + np.int64(run.length)
        data: Int = begin  # accesses from here on have yet to read their data
        for at in range(begin, end):
            page, flags = np.int64(pages[at]), np.int64(lines[at] >> 6)
            while next_event < events.size and np.int64(events[next_event].at) <= first + at:
                if port.kind == 2 and data < at:
                    access_data(port, pages, lines, data, at)
                    data = at
                event = events[next_event]
                kind = np.int64(event.kind)
                if SHOOTDOWNS >> kind & 1:
                    obey(tlbs, event)
                happen(state, port, event)
                obey_mode(tlbs, port, mine)
                next_event += 1
            outcome = look_up_one(tlbs, mine, cpu, page, flags)
            if outcome != HIT:
                if port.kind == 2 and data < at:
                    access_data(port, pages, lines, data, at)
                    data = at
                port.context[AT] = first + at
                walk_access(state, port, page, flags >> 1)
                obey_mode(tlbs, port, mine)
                if outcome == MISS:
                    covers = neighbours(tlbs, port, page) if tlbs.rules[COALESCES] else np.int64(1)
                    fill_both(tlbs, cpu, page, flags, covers)
        if port.kind == 2:
            access_data(port, pages, lines, data, end)
        count_policies(tlbs, mine)
        for name in range(port.tally.size):
            counts[run.vm, run.epoch, name] += port.tally[name]
            port.tally[name] = 0
    return next_event


def run(
    tlb: Tlb,
    mmu: Mmu,
    cache: Cache,
    traces: list[Trace],
    mapped: Mapped,
    step: int = CHUNK,
    added: Turns | None = None,
) -> MmuOut:
    """Look every access up, and walk the tables for those that miss.

    Parameters
    ----------
    tlb, mmu, cache
        Config sections.
    traces : list of Trace
    mapped : Mapped
    step : int
        Accesses simulated at a time.
    added : Turns, optional
        As `memvirt.mmu.run` has it.

    Returns
    -------
    MmuOut
        Its counters are those of both rooms.
    """
    space, schedule, frames, nodes = mapped
    tlbs = build(tlb, traits(mmu), space, schedule, frames.changes)
    state, port = start(mmu, cache, mapped, tlb.pcid, tlb.vpid, added)
    counts = np.zeros((schedule.vms, schedule.epochs, port.tally.size), np.int64)
    changes: Any = frames.changes.view(np.recarray)
    next_event: Int = 0
    for first in range(0, schedule.accesses, step):
        part = merged(traces, space, schedule.runs, first, min(first + step, schedule.accesses))
        runs: Any = part.runs.view(np.recarray)
        next_event = run_stretch(
            tlbs, state, port, counts, nodes.node_of_cpu, part.page, part.line, runs, changes, next_event, first
        )
    out = finish(counts, port, state)
    looked_up = counted(tlbs)
    values = np.concatenate([looked_up.values, out.counters.values], axis=2)
    how = (*looked_up.epochs, *out.counters.epochs)
    return out._replace(counters=Counters((*looked_up.names, *out.counters.names), values, how))
