"""The MMU room: what each walk reads, where it finds it, and when the guest must leave to the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.counters import Counter, as_counters, of_module, record_of, told_apart
from memvirt.memory.merge import merged
from memvirt.memory.placement._turns import OF_CPU, Turns, make_turns
from memvirt.mmu.caches import make_caches
from memvirt.mmu.config import Cache, Mmu
from memvirt.mmu.loop import walk_stretch
from memvirt.mmu.mode import Setup
from memvirt.mmu.port import COUNTERS as TALLIED
from memvirt.mmu.port import HISTOGRAM, LEVELS, ROWS, TALLY, Port
from memvirt.mmu.traffic import home_nodes, make_traffic, remote, turns_of
from memvirt.policy import load
from memvirt.tlb.misses import Misses, unpack
from memvirt.types import CHUNK, EXITS, NONE, ON_EVERY, PLACES, READ_KINDS, Counters, Mapped, Space, Trace, Traits
from memvirt.typing import Int

__all__ = ["COUNTERS", "Cache", "Mmu", "MmuOut", "fault_exits", "run", "traits", "turns_of"]

KINDS = {"none": 0, "pte": 1, "full": 2}
#: What follows from the tally (`memvirt.mmu.port.COUNTERS`).
COUNTERS = (
    Counter("vm_exits", "exits", doc="from the guest to its hypervisor"),
    Counter("l1d_cache_hits", "references", doc="of data and walks, found in the L1D"),
    Counter("l1d_cache_misses", "references", doc="of data and walks, not found in the L1D"),
    Counter("l2_cache_hits", "references", doc="of data and walks, found in the L2"),
    Counter("l2_cache_misses", "references", doc="of data and walks, not found in the L2"),
    Counter("llc_hits", "references", doc="of data and walks, found in the LLC"),
    Counter("llc_misses", "references", doc="of data and walks, not found in the LLC"),
    Counter(
        "remote_refs_{}",
        "references",
        doc="to another node's memory: data, tables of processes (in a VM its guest's), the host's, those that a mode adds",
        over=READ_KINDS,
    ),
    Counter("walk_steps", "references", doc="of walks, one after the other: all but those that went out beside a slower one"),
)
MOST_PATHS = 1 << 22  #: slots of all VMs' tables of paths together


class MmuOut(NamedTuple):
    """What the MMU room hands on.

    Attributes
    ----------
    counters : Counters
    histogram : (vms, refs) int64
        Walks by their number of references, warm-up left out.
    levels : (vms, `ROWS`, `LEVELS`, `PLACES`) int64
        References by what they were read for, table level and place.
    paths : list of (n, 2) int64
        Of each VM: kinds of walks (`memvirt.mmu.port.keep_path`), ascending, and how many there were.
    traffic : (vms, epochs, `READ_KINDS`, nodes, nodes) int64
        References to memory, by node of CPU and of memory; of size 0 where there is one node.
    """

    counters: Counters
    histogram: NDArray[np.int64]
    levels: NDArray[np.int64]
    paths: list[NDArray[np.int64]]
    traffic: NDArray[np.int64]


def traits(mmu: Mmu) -> Traits:
    """Traits of a mode with its options.

    Raises
    ------
    ConfigError
        If there is no such mode.
    """
    module = load("mmu.mode", mmu.name, "mmu")
    if hasattr(module, "traits"):
        defaults = {key: known[0] if isinstance(known, tuple) else known for key, known in module.OPTIONS.items()}
        found: Traits = module.traits({**defaults, **mmu.options})
    else:
        found = module.TRAITS
    return found._replace(dirty="walk" if mmu.ad_bits else "none")


def fault_exits(mmu: Mmu) -> dict[str, tuple[int, int]]:
    """Exits by reason that each fault of a guest takes, and each of its host: for faults that no walk is simulated of."""
    known: dict[str, tuple[int, int]] | None = getattr(load("mmu.mode", mmu.name, "mmu"), "FAULT_EXITS", None)
    if known is not None:
        return known
    return {"ept_violation": (0, 1)} if traits(mmu).dimensions == 2 else {}


def _spaces(space: Space) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Number the address spaces of all VMs: of each page, the first of each VM, and the first page of each."""
    vms = space.page_base.size - 1
    vm = np.repeat(np.arange(vms), np.diff(space.page_base))
    new = np.ones(vm.size, bool)
    new[1:] = (vm[1:] != vm[:-1]) | (space.asid[1:] != space.asid[:-1])
    of_page = np.cumsum(new) - 1
    base = np.concatenate([[0], np.cumsum(np.bincount(vm[new], minlength=vms))])
    return of_page.astype(np.int64), base.astype(np.int64), np.append(np.flatnonzero(new), vm.size).astype(np.int64)


def _first_pages(space: Space, of_page: NDArray[np.int64]) -> NDArray[np.uint32]:
    """First page of each guest entry."""
    number = space.vpn >> space.guest_order.astype(np.uint64)
    new = np.ones(number.size, bool)
    new[1:] = (number[1:] != number[:-1]) | (of_page[1:] != of_page[:-1])
    first: NDArray[np.uint32] = np.flatnonzero(new)[np.cumsum(new) - 1].astype(np.uint32)
    return first


def tallied(mode: str) -> tuple[Counter, ...]:
    """What is tallied under a mode, by the name of its module: the room's own counters, then the mode's."""
    return told_apart((*TALLIED, *of_module(mode)))


def make_port(mmu: Mmu, cache: Cache, mapped: Mapped, added: Turns) -> Port:
    """Show the machine as it is before access 0, without caches yet."""
    space, schedule, frames, nodes = mapped
    of_page, base, page_base = _spaces(space)
    page_of_frame = np.full(frames.hfn_of_frame.size, NONE, np.uint32)
    there = np.flatnonzero(frames.frame_of_page != NONE)
    page_of_frame[frames.frame_of_page[there]] = there
    hfn_of_page = np.full(space.vpn.size, NONE, np.uint32)
    hfn_of_page[there] = frames.hfn_of_frame[frames.frame_of_page[there]]
    slots = 1 << max(6, min(14, (MOST_PATHS // schedule.vms).bit_length() - 1))
    hypervisor_sets = traits(mmu).dirty != "none" and getattr(load("mmu.mode", mmu.name), "HYPERVISOR_SETS_DIRTY", False)
    two = frames.dimensions == 2
    record = record_of(tallied(load("mmu.mode", mmu.name, "mmu").__name__))
    tally = np.zeros(record.itemsize // 8, np.int64)
    return Port(
        kind=KINDS[cache.name],
        caches=make_caches(cache, nodes, frames.host_frames),
        context=np.zeros(10, np.int64),
        walk=np.zeros(9, np.int64),
        tally=tally,
        counts=tally.view(record).view(np.recarray),
        histogram=np.zeros((schedule.vms, HISTOGRAM), np.int64),
        levels=np.zeros((schedule.vms, len(ROWS), LEVELS, len(PLACES)), np.int64),
        paths=np.zeros((schedule.vms, slots, 2), np.int64),
        flush=np.zeros(3, np.int64),
        ad=np.array([mmu.ad_bits, hypervisor_sets, mmu.ad_bits and two and not mmu.host_ad], np.int64),
        clean=np.full(space.vpn.size if mmu.ad_bits else 1, 2, np.uint8),
        host_clean=np.zeros(frames.hfn_of_frame.size if mmu.ad_bits and two else 1, np.uint8),
        node_of_hfn=nodes.node_of_hfn.copy(),
        frame_of_page=frames.frame_of_page.copy(),
        hfn_of_page=hfn_of_page,
        space_of_page=of_page,
        space_base=base,
        page_base=page_base,
        page_of_frame=page_of_frame,
        hfn_of_frame=frames.hfn_of_frame.copy(),
        order_of_frame=frames.order_of_frame.copy(),
        vpn=space.vpn.astype(np.int64),
        guest_order=space.guest_order.copy(),
        first_page=_first_pages(space, of_page),
        guest_row=frames.guest.row.copy(),
        guest_frames=frames.guest.frames.copy(),
        host_frames=frames.host.frames.copy(),
        frame_base=frames.frame_base.copy(),
        dimensions=frames.dimensions,
        spare=frames.host_frames,
        traffic=make_traffic(schedule, nodes.nodes),
        added=added,
        copies=nodes.nodes - 1 if added.nodes[0] == ON_EVERY else 0,
        home_of_vm=home_nodes(schedule, nodes),
    )


def counters(counts: NDArray[np.int64], kind: int, mode: str, traffic: NDArray[np.int64]) -> Counters:
    """Add to the tally of a mode's module what follows from it: exits in all, hits and misses of each cache, remote references."""
    place = {name: number for number, name in enumerate(TALLY)}
    extra = [sum((counts[:, :, place[f"vm_exits_{reason}"]] for reason in EXITS), np.zeros(counts.shape[:2], np.int64))]
    refs = np.array([[counts[:, :, place[f"{who}_refs_in_{where}"]] for who in ("walk", "data")]
                     for where in ("l1d", "l2", "llc", "memory")]).sum(axis=1)  # fmt: skip
    for level in range(3):
        missed = refs[level + 1 :].sum(axis=0)
        if level == 0:
            missed = missed - counts[:, :, place["pom_tlb_lookups"]]  # which never ask the L1D
        extra += [refs[level] if kind else 0 * refs[level], missed if kind else 0 * missed]
    extra += list(np.moveaxis(remote(traffic), 2, 0)) if traffic.size else [0 * refs[0]] * len(READ_KINDS)
    hidden = sum(counts[:, :, place[f"walk_refs_overlapped_in_{where}"]] for where in PLACES[:4])
    extra.append(counts[:, :, place["walk_refs_guest"]] + counts[:, :, place["walk_refs_host"]] - hidden)
    return as_counters(np.concatenate([counts, np.stack(extra, axis=2)], axis=2), (*tallied(mode), *COUNTERS))


def start(mmu: Mmu, cache: Cache, mapped: Mapped, pcid: bool, vpid: bool, added: Turns | None = None) -> tuple[Any, Port]:
    """Make a mode's state, and the machine that it sees, with frames for the tables that the mode adds."""
    module = load("mmu.mode", mmu.name, "mmu")
    port = make_port(mmu, cache, mapped, added or make_turns([OF_CPU]))
    setup = Setup(mmu, mapped.space, mapped.schedule, mapped.frames, port, pcid, vpid)
    extra = int(module.frames(setup)) if hasattr(module, "frames") else 0
    if extra:
        port = port._replace(
            caches=make_caches(cache, mapped.nodes, mapped.frames.host_frames + extra),
            node_of_hfn=np.concatenate([mapped.nodes.node_of_hfn, np.zeros(extra, np.uint8)]),
        )
    return module.make(setup._replace(port=port)), port


def finish(counts: NDArray[np.int64], port: Port, state: Any) -> MmuOut:
    """Gather what the room hands on, given the mode's state."""
    paths = []
    for table in port.paths:
        used = table[table[:, 0] > 0]
        used[:, 0] -= 1
        paths.append(used[np.argsort(used[:, 0])])
    found = counters(counts, port.kind, type(state).__module__, port.traffic)
    return MmuOut(found, port.histogram, port.levels, paths, port.traffic)


def run(
    mmu: Mmu,
    cache: Cache,
    traces: list[Trace],
    mapped: Mapped,
    offsets: Sequence[Misses],
    pcid: bool = True,
    vpid: bool = True,
    step: int = CHUNK,
    added: Turns | None = None,
) -> MmuOut:
    """Walk the tables for every access that missed the TLBs.

    Parameters
    ----------
    mmu, cache
        Config sections.
    traces : list of Trace
    mapped : Mapped
    offsets : list of arrays
        As `Walks` has them.
    pcid, vpid : bool
        Whether page-walk caches are tagged by address space and by VM, or flushed on a switch.
    step : int
        Accesses simulated at a time, as in the TLB room.
    added : Turns, optional
        Where tables go that the mode adds (`memvirt.mmu.traffic.turns_of`); local if not given.
    """
    state, port = start(mmu, cache, mapped, pcid, vpid, added)
    return drive(state, port, traces, mapped, offsets, step)


def drive(state: Any, port: Port, traces: list[Trace], mapped: Mapped, offsets: Sequence[Misses], step: int = CHUNK) -> MmuOut:
    """Simulate from what `start` has made, as `run` does."""
    space, schedule, frames, nodes = mapped
    counts = np.zeros((schedule.vms, schedule.epochs, port.tally.size), np.int64)
    changes: Any = frames.changes.view(np.recarray)
    next_event: Int = 0
    for first, missed in zip(range(0, schedule.accesses, step), offsets, strict=True):
        part = merged(traces, space, schedule.runs, first, min(first + step, schedule.accesses))
        runs: Any = part.runs.view(np.recarray)
        next_event = walk_stretch(
            state, port, counts, nodes.node_of_cpu, part.page, part.line, runs, changes, unpack(missed), next_event, first
        )
    return finish(counts, port, state)
