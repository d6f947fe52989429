"""The MMU room: what each walk reads, where it finds it, and when the guest must leave to the host."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.memory.merge import merged
from memvirt.mmu.caches import make_caches
from memvirt.mmu.config import Cache, Mmu
from memvirt.mmu.loop import walk_stretch
from memvirt.mmu.mode import Setup
from memvirt.mmu.port import EXITS, HISTOGRAM, TALLY, Port
from memvirt.policy import load
from memvirt.types import CHUNK, NONE, Counters, Frames, Nodes, Schedule, Space, Trace, Traits

__all__ = ["COUNTERS", "Cache", "Mmu", "MmuOut", "run", "traits"]

KINDS = {"none": 0, "pte": 1, "full": 2}
COUNTERS = (
    *TALLY,
    "vm_exits",
    "l1d_cache_hits",
    "l1d_cache_misses",
    "l2_cache_hits",
    "l2_cache_misses",
    "llc_hits",
    "llc_misses",
)


class MmuOut(NamedTuple):
    """What the MMU room hands on.

    Attributes
    ----------
    counters : Counters
    histogram : (vms, refs) int64
        Walks by their number of references, warm-up left out.
    """

    counters: Counters
    histogram: NDArray[np.int64]


def traits(name: str) -> Traits:
    """Traits of the mode of that name.

    Raises
    ------
    ConfigError
        If there is no such mode.
    """
    return load("mmu.mode", name, "mmu").TRAITS  # type: ignore[no-any-return]


def _spaces(space: Space) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the address spaces of all VMs: of each page, and the first of each VM."""
    vms = space.page_base.size - 1
    vm = np.repeat(np.arange(vms), np.diff(space.page_base))
    new = np.ones(vm.size, bool)
    new[1:] = (vm[1:] != vm[:-1]) | (space.asid[1:] != space.asid[:-1])
    of_page = np.cumsum(new) - 1
    base = np.concatenate([[0], np.cumsum(np.bincount(vm[new], minlength=vms))])
    return of_page.astype(np.int64), base.astype(np.int64)


def make_port(cache: Cache, space: Space, schedule: Schedule, frames: Frames, nodes: Nodes) -> Port:
    """Show the machine as it is before access 0."""
    of_page, base = _spaces(space)
    spare = frames.guest.frames.size + 16  # for tables that a mode adds: no more than the guests have
    page_of_frame = np.full(frames.hfn_of_frame.size, NONE, np.uint32)
    mapped = np.flatnonzero(frames.frame_of_page != NONE)
    page_of_frame[frames.frame_of_page[mapped]] = mapped
    hfn_of_page = np.full(space.vpn.size, NONE, np.uint32)
    hfn_of_page[mapped] = frames.hfn_of_frame[frames.frame_of_page[mapped]]
    return Port(
        kind=KINDS[cache.name],
        caches=make_caches(cache, schedule.cpus, nodes.nodes, frames.host_frames + spare),
        now=np.zeros(6, np.int64),
        tally=np.zeros(len(TALLY), np.int64),
        histogram=np.zeros((schedule.vms, HISTOGRAM), np.int64),
        node_of_hfn=np.concatenate([nodes.node_of_hfn, np.zeros(spare, np.uint8)]),
        frame_of_page=frames.frame_of_page.copy(),
        hfn_of_page=hfn_of_page,
        space_of_page=of_page,
        space_base=base,
        page_of_frame=page_of_frame,
        hfn_of_frame=frames.hfn_of_frame.copy(),
        order_of_frame=frames.order_of_frame.copy(),
        vpn=space.vpn.astype(np.int64),
        guest_order=space.guest_order.copy(),
        guest_row=frames.guest.row.copy(),
        guest_frames=frames.guest.frames.copy(),
        host_frames=frames.host.frames.copy(),
        frame_base=frames.frame_base.copy(),
        dimensions=frames.dimensions,
    )


def counters(counts: NDArray[np.int64], kind: int) -> Counters:
    """Add to the tally what follows from it: exits in all, and hits and misses of each cache."""
    place = {name: number for number, name in enumerate(TALLY)}
    extra = [sum((counts[:, :, place[f"vm_exits_{reason}"]] for reason in EXITS), np.zeros(counts.shape[:2], np.int64))]
    refs = np.array([[counts[:, :, place[f"{who}_refs_in_{where}"]] for who in ("walk", "data")]
                     for where in ("l1d", "l2", "llc", "memory")]).sum(axis=1)  # fmt: skip
    for level in range(3):
        missed = refs[level + 1 :].sum(axis=0)
        extra += [refs[level] if kind else 0 * refs[level], missed if kind else 0 * missed]
    return Counters(COUNTERS, np.concatenate([counts, np.stack(extra, axis=2)], axis=2))


def run(
    mmu: Mmu,
    cache: Cache,
    traces: list[Trace],
    space: Space,
    schedule: Schedule,
    frames: Frames,
    nodes: Nodes,
    offsets: list[NDArray[np.uint32]],
    pcid: bool = True,
    vpid: bool = True,
    step: int = CHUNK,
) -> MmuOut:
    """Walk the tables for every access that missed the TLBs.

    Parameters
    ----------
    mmu, cache
        Config sections.
    traces : list of Trace
    space, schedule, frames, nodes
        As `Machine` has them.
    offsets : list of (n,) uint32
        As `Walks` has them.
    pcid, vpid : bool
        Whether page-walk caches are tagged by address space and by VM, or flushed on a switch.
    step : int
        Accesses simulated at a time, as in the TLB room.
    """
    port = make_port(cache, space, schedule, frames, nodes)
    state = load("mmu.mode", mmu.name, "mmu").make(Setup(mmu, space, schedule, frames, port, pcid, vpid))
    counts = np.zeros((schedule.vms, schedule.epochs, len(TALLY)), np.int64)
    changes: Any = frames.changes.view(np.recarray)
    next_event = 0
    for first, walks in zip(range(0, schedule.accesses, step), offsets, strict=True):
        part = merged(traces, space, schedule.runs, first, min(first + step, schedule.accesses))
        runs: Any = part.runs.view(np.recarray)
        next_event = walk_stretch(
            state, port, counts, nodes.node_of_cpu, part.page, part.line, runs, changes, walks, next_event, first
        )
    return MmuOut(counters(counts, port.kind), port.histogram)
