"""What must hold of the memory room's world at any moment, recounted the slow way.

Run as a program (plain Python, no compilation): ``NUMBA_DISABLE_JIT=1 python -m tests.invariants WORDS`` simulates a point with
small windows and checks at each of them; `tests/test_conservation.py` does so for random mixes and policies.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections import Counter
from typing import Any

import numpy as np

from memvirt import memory, workload
from memvirt.counters import as_numbers, in_use, names_of
from memvirt.errors import CapacityError, ConfigError
from memvirt.memory import setup
from memvirt.memory.contents import WRITTEN
from memvirt.memory.epochs import change_state
from memvirt.memory.layout import lay_out_frames, lay_out_pages
from memvirt.memory.loop import host_loop
from memvirt.memory.reclaim import esx
from memvirt.memory.state import BALLOON, CACHE, DATA, DONE, FREE, GUEST_FULL, HOST_FULL, LOG_FULL, MORE_EPOCHS, REFILL
from memvirt.pipeline.rooms import ROOMS
from memvirt.types import EVENTS, Event, GuestEvent

NOTHING = -1


def chain(first: int, table: Any) -> list[int]:
    """Items of a list through ``next_free``."""
    found: dict[int, None] = {}
    following, at = table.next_free, int(first)
    while at != NOTHING:
        assert at not in found, "a list that runs in a circle"
        found[at] = None
        at = int(following[at])
    return list(found)


def check_host(world: Any) -> None:
    """Host frames: free + used = total, each used by what its count says, shared only by equal contents."""
    clock, frames, hosts = world.clock[0], world.frames, world.host_frames
    free: list[int] = []
    for node in world.nodes:
        listed = chain(node.free_small, hosts)
        for block in chain(node.free_large, hosts):
            listed += range(block, block + 512)
        assert node.free == node.capacity + len(listed)
        free += listed
    assert len(set(free)) == len(free), "a host frame is free twice"
    assert clock.free == sum(int(node.free) for node in world.nodes)
    backed = np.flatnonzero(frames.hfn != NOTHING)
    table = np.isin(frames.role[backed], [4])
    charged = bool(world.rules[0].charge_tables)
    behind = Counter(frames.hfn[backed].tolist())
    assert not set(free) & set(behind), "a host frame is free and in use"
    numbers = np.fromiter(behind, np.int64, len(behind))
    assert (hosts.refs[numbers] == np.fromiter(behind.values(), np.int64, len(behind))).all(), "references are not mappings"
    for hfn, refs in behind.items():
        members = backed[frames.hfn[backed] == hfn].tolist() if refs > 1 else []
        if members:
            assert len({int(frames.content[frame]) for frame in members}) == 1, "unequal contents share a host frame"
            assert hosts[hfn].owner in members and hosts[hfn].stable
            ring, at = [], members[0]
            while at not in ring:
                ring.append(at)
                assert frames[frames[at].sharer].sharer_before == at
                at = int(frames[at].sharer)
            assert sorted(ring) == sorted(members)
    data = set(frames.hfn[backed[charged | (frames.role[backed] != 4)]].tolist())
    if world.rules[0].dimensions == 1 and charged:
        data |= {int(each.hfn) for each in world.guest_tables if each.hfn != NOTHING}
    if charged:
        data |= {int(each.hfn) for each in world.host_tables if each.hfn != NOTHING}
    if not table.any() or charged or (frames.order[backed] == 0).all():
        assert clock.free + len(data) + clock.pool == clock.total, "host frames were lost or found"


def check_guests(world: Any) -> None:
    """Each VM's own books."""
    frames = world.frames
    for number, guest in enumerate(world.vms):
        first = int(guest.frame_base)
        last = int(world.vms.frame_base[number + 1]) if number + 1 < world.vms.size else frames.size
        mine = frames[first:last]
        start = int(guest.page_base)
        end = int(world.vms.page_base[number + 1]) if number + 1 < world.vms.size else world.pages.size
        pages = world.pages[start:end]
        mapped = pages.frame[pages.frame != NOTHING]
        assert len(set(mapped.tolist())) == mapped.size, "a guest frame is mapped twice"
        assert (frames.page[mapped] == np.arange(start, end)[pages.frame != NOTHING]).all()
        assert (frames.role[mapped] == DATA).all()
        evictable = (mine.hfn != NOTHING) & (mine.role != 4)
        if (mine.order == 0).all():
            assert guest.resident == evictable.sum(), "resident pages"
            away = (mine.hfn == NOTHING) & (mine.swapped == 1) & (mine.packed == 0)
            assert guest.swapped == away.sum(), "swapped pages"
            assert guest.compressed == (mine.packed != 0).sum(), "compressed pages"
        assert not ((mine.packed != 0) & (mine.hfn != NOTHING)).any(), "compressed and resident"
        assert guest.shared == (mine.sharer != NOTHING).sum(), "shared pages"
        members = first + np.flatnonzero(mine.sharer != NOTHING)
        assert guest.saved == (world.host_frames.owner[frames.hfn[members]] != members).sum(), "saved pages"
        assert guest.cached == (mine.role == CACHE).sum()
        reported = [chain(first, frames) for first in guest.reported]
        listed, blocks = (chain(first, frames) + told for first, told in zip(guest.free, reported, strict=True))
        assert not ((frames.hfn[reported[0]] != NOTHING) & (frames.order[reported[0]] == 0)).any(), "the host was told of it"
        assert guest.freed == len(listed) + 512 * len(blocks)
        assert (frames.role[listed] == FREE).all()
        held = len(chain(guest.balloon[0], frames)) + 512 * len(chain(guest.balloon[1], frames))
        assert guest.ballooned - guest.never_used == held == (mine.role == BALLOON).sum()
        assert not ((mine.role == BALLOON) & (mine.hfn != NOTHING) & (mine.order == 0)).any(), "a ballooned frame is backed"
        check_slots(world, guest, pages)
        assert guest.used + guest.ballooned + guest.freed <= guest.limit
        # A merged page whose owner leaves is charged to the next who maps it, who may be full: its VM gives pages at its next fault.
        if guest.most and not ("merges" in world.counts.dtype.names and world.counts["merges"].any()):
            assert guest.resident - guest.saved <= guest.most


def check_slots(world: Any, guest: Any, pages: Any) -> None:
    """Slots of a guest's own swap: pages that are there alone, and copies of pages in memory, which are as they were written."""
    heads = pages.first == guest.page_base + np.arange(pages.size)
    size = np.left_shift(1, pages.order.astype(np.int64)) * heads
    copied, file = pages.frame != NOTHING, pages.file == 1
    slots = size * ((pages.swapped == 1) & ~file)
    assert guest.files == (size * (copied & file)).sum(), "the guest's page cache"
    assert not (file & copied & (pages.swapped == 1)).any(), "a file's page that was dropped is there"
    assert guest.guest_swapped == slots.sum(), "slots of the guest's swap"
    assert guest.copies == slots[copied].sum(), "copies on the guest's swap"
    assert (pages.swapped == pages.swapped[pages.first - guest.page_base]).all(), "part of a larger page is on the guest's swap"
    assert guest.guest_swapped <= guest.guest_swap or guest.guest_swap == 0
    if world.rules[0].contents:
        copies = pages[copied & (pages.swapped == 1)]
        assert (world.frames.content[copies.frame] == copies.content).all(), "a copy on the guest's swap is old"


def check_events(world: Any) -> None:
    """Of what a kind of event doesn't say (`memvirt.types.EVENTS`), its events say nothing."""
    events = world.events[: world.clock[0].events]
    blanks = {"page": 0xFFFFFFFF, "frame": 0, "hfn": 0, "count": 0, "order": 0}
    for kind, known in EVENTS.items():
        for name, blank in blanks.items():
            said = events[name][events["kind"] == kind]
            assert name in known.fields or (said == blank).all(), f"{kind.name} says its {name}"
    drops, passed = events["kind"] == Event.DROP, np.cumsum(events["kind"] == Event.DROP)
    for place in np.flatnonzero(~drops & np.isin(events["kind"], (Event.EVICT, Event.TABLE_WRITE, Event.GUEST_UNMAP, Event.HINT))):
        count = int(events["count"][place])
        assert place + count < events.size and passed[place + count] - passed[place] == count, "its DROPs don't follow"


def contents_of(world: Any) -> np.ndarray:
    """What each page of each guest holds, wherever it is."""
    frame = world.pages.frame
    return np.where(frame != NOTHING, world.frames.content[np.maximum(frame, 0)], world.pages.content)


def note_changes() -> list[tuple[float, int]]:
    """When (ns) the host of the run that follows comes into which state."""
    changes: list[tuple[float, int]] = []

    def change(world: Any, state: int, time: float) -> None:
        changes.append((float(time), int(state)))
        change_state(world, state, time)

    esx.change_state = change  # type: ignore[assignment]
    return changes


def run(point: Any) -> dict[str, Any]:
    """Simulate a point's memory, checked at every refill; returns the final counts, or why it ended."""
    vms = tuple(range(point.count))
    config = memory.MemoryConfig.model_validate(ROOMS["memory"].config.make(point, vms))
    traces = [workload.load(point.member(vm).workload, vm) for vm in vms]
    pages = lay_out_pages(config, traces)
    setup.WINDOW = max(48, pages.vpn.size // 10)  # type: ignore[misc]  # a check takes the longer the more pages there are
    world = setup.build(config, traces, pages, lay_out_frames(config, pages))
    checks, changes = 0, note_changes()
    try:
        memory._boot(world, config, traces)
        future = memory._foresee(world, traces) if world.rules[0].foresees else []
        before, positions = contents_of(world), world.actors.position.copy()
        while True:
            status, who = host_loop(world)
            if status in (LOG_FULL, DONE):
                check_events(world)
                world.clock[0].runs = world.clock[0].events = 0
            elif status == MORE_EPOCHS:
                world = memory._more_epochs(world, who)
            elif status in (GUEST_FULL, HOST_FULL):
                memory._check(status, who, world)
            check_host(world)
            check_guests(world)
            now = contents_of(world)
            if world.rules[0].contents:
                check_contents(world, traces, positions, before, now)
            before, positions = now, world.actors.position.copy()
            checks += 1
            if status == DONE:
                break
            if status == REFILL:
                memory._refill(world, traces, future, who)
    except CapacityError as full:
        return {"ended": str(full), "checks": checks}
    names = names_of(in_use("memory", setup.measured(world.policies)))
    totals = as_numbers(world.counts).sum(axis=(0, 1)).tolist()
    ends = zip(as_numbers(world.counts), world.vms, strict=True)
    return {
        "checks": checks,
        "vms": [dict(zip(names, counts[int(vm.epoch)].tolist(), strict=True)) for counts, vm in ends],
        "states": world.counts.memory_state.tolist(),
        "changes": changes,
        **dict(zip(names, totals, strict=True)),
    }


def check_contents(world: Any, traces: Any, positions: Any, before: np.ndarray, now: np.ndarray) -> None:
    """A page holds what was written to it last: nothing else changed it, and what was written is new and its own."""
    touched, unmapped = np.zeros(now.size, bool), np.zeros(now.size, bool)
    for number, actor in enumerate(world.actors):
        events = traces[actor.vm].events
        lately = (events["at"] >= positions[number]) & (events["at"] <= actor.position) & (events["kind"] == GuestEvent.UNMAP)
        for page in world.vms[actor.vm].page_base + events["page"][lately].astype(np.int64):
            unmapped[world.pages[page].first : world.pages[page].end] = True  # what comes there next is new
        part = traces[actor.vm].read(int(positions[number]), int(actor.position))
        touched[world.vms.page_base[actor.vm] + part.page[part.line & 0x80 > 0]] = True
    still = ~touched & ~unmapped
    assert (now[still] == before[still]).all(), "contents changed that nobody wrote"
    assert (now[touched] > WRITTEN).all() and np.unique(now[touched]).size == touched.sum(), "a write is not what is read"


if __name__ == "__main__":
    from tests.quick_records import quicken
    from tests.support import point as make_point

    quicken()
    for line in sys.stdin:
        words = json.loads(line)
        try:
            found = run(make_point(*words))
        except ConfigError as refused:
            found = {"refused": str(refused)}
        except Exception as wrong:  # whatever it is, the test tells it
            found = {"broken": "".join(traceback.format_exception(wrong))}
        print(json.dumps(found), flush=True)
